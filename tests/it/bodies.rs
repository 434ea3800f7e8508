//! Bodies that can't be read, are too large, or are not what they seem.

use std::io::Write;

use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::TestApp;

const LOGIN: &str = "/api/v1/auth/login";

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let app = TestApp::start().await;
    let post = |body: &str| app.request(Method::POST, LOGIN).body(body.to_owned());
    for body in ["", "{", "{\"email\":}", "nul", "\u{0}", "{} {}"] {
        let answer = post(body).header("content-type", "application/json").send().await;
        assert_eq!(answer.assert_error(400, "malformed_request")["code"], 400, "{body:?}");
    }
    let deep = "[".repeat(100_000);
    let answer = post(&deep).header("content-type", "application/json").send().await;
    answer.assert_error(400, "malformed_request");
    for content_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "x"]
    {
        let answer = post("{}").header("content-type", content_type).send().await;
        assert_eq!(answer.assert_error(415, "unsupported_media_type")["code"], 415);
    }
    post("{}").send().await.assert_error(415, "unsupported_media_type");
    let with_charset = "application/json; charset=utf-8";
    let answer = post("{}").header("content-type", with_charset).send().await;
    assert_eq!(answer.faults().len(), 2);
}

#[tokio::test]
async fn large_bodies_declared_and_chunked() {
    let app = TestApp::start().await;
    let large = format!("{{\"email\":\"{}\"}}", "a".repeat(1024 * 1024));
    let post = || app.request(Method::POST, LOGIN).header("content-type", "application/json");
    let answer = post().body(large.clone()).send().await;
    assert_eq!(answer.assert_error(413, "payload_too_large")["code"], 413);

    let chunks: Vec<Result<_, std::io::Error>> =
        large.as_bytes().chunks(64 * 1024).map(|chunk| Ok(chunk.to_vec())).collect();
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    post().body(stream).send().await.assert_error(413, "payload_too_large");

    // Just within the limit it is read.
    let fits = format!("{{\"email\":\"{}\"}}", "a".repeat(1024 * 1024 - 12));
    let faults = post().body(fits).send().await.faults();
    assert_eq!(faults[0].0, "password");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).expect("written");
    packed.finish().expect("written")
}

#[tokio::test]
async fn compressed_bodies() {
    let app = TestApp::start().await;
    let post = |coding: &str, body: Vec<u8>| {
        let post = app.request(Method::POST, LOGIN).header("content-type", "application/json");
        post.header("content-encoding", coding).body(body)
    };
    let packed = gzip(br#"{"email": "ada@example.com"}"#);
    for coding in ["gzip", "GZIP", "x-gzip"] {
        let faults = post(coding, packed.clone()).send().await.faults();
        assert_eq!(faults, [("password".to_owned(), "required".to_owned())], "{coding}");
    }
    // RFC 1952, 2.2: several members are one text.
    let members = [gzip(br#"{"email": "ada@"#), gzip(br#"example.com"}"#)].concat();
    assert_eq!(post("gzip", members).send().await.faults().len(), 1);
    assert_eq!(post("identity", b"{}".to_vec()).send().await.faults().len(), 2);

    for coding in ["br", "zstd", "deflate", "compress", "gzip, gzip", "x"] {
        let answer = post(coding, packed.clone()).send().await;
        answer.assert_error(415, "unsupported_content_encoding");
        assert_eq!(answer.header("accept-encoding"), "gzip, identity", "{coding}");
    }
    let twice = post("gzip", packed.clone()).header("content-encoding", "gzip").send().await;
    twice.assert_error(415, "unsupported_content_encoding");

    let cut = packed[..packed.len() - 9].to_vec();
    for broken in [b"{}".to_vec(), cut, [&packed[..], b"more"].concat(), Vec::new()] {
        post("gzip", broken).send().await.assert_error(400, "malformed_request");
    }
}

#[tokio::test]
async fn large_bodies_in_small_ones() {
    let app = TestApp::start().await;
    let post = |body: Vec<u8>| {
        let post = app.request(Method::POST, LOGIN).header("content-type", "application/json");
        post.header("content-encoding", "gzip").body(body)
    };
    let fits = format!("{{\"email\":\"{}\"}}", "a".repeat(1024 * 1024 - 12));
    assert_eq!(post(gzip(fits.as_bytes())).send().await.faults()[0].0, "password");
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    post(bomb).send().await.assert_error(413, "payload_too_large");
    // Members of nothing are counted as they come.
    let nothing = gzip(b"").repeat(100_000);
    post(nothing).send().await.assert_error(413, "payload_too_large");
}

#[tokio::test]
async fn json_that_is_not_what_it_seems() {
    let app = TestApp::start().await;
    let post = |body: String| {
        app.request(Method::POST, LOGIN).header("content-type", "application/json").body(body)
    };
    let twice = r#"{"email": "ada@example.com", "password": "one", "password": "two"}"#;
    let faults = post(twice.to_owned()).send().await.faults();
    assert_eq!(faults, [("password".to_owned(), "repeated".to_owned())]);
    // In memory each of these takes many times its text.
    for value in ["[]", "{}", "0", "\"\""] {
        let many = format!("[{}]", vec![value; 100_000].join(","));
        post(many).send().await.assert_error(413, "payload_too_large");
    }
}

/// Two lengths, or one that isn't true, leave it open where the next request begins (RFC 9112, 6.3).
#[tokio::test]
async fn after_a_body_of_unclear_length_the_connection_ends() {
    let app = TestApp::start().await;
    let address = app.base.trim_start_matches("http://");
    let chunked = "transfer-encoding: chunked";
    let both = format!("content-length: 2\r\n{chunked}");
    let next = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (headers, body, status) in [
        (&*both, &*format!("2\r\n{{}}\r\n0\r\n\r\n{next}"), 422),
        ("content-length: 2\r\ncontent-length: 3", &format!("{{}}{next}"), 400),
        ("content-length: 99999", &format!("{{}}{next}"), 400),
        (chunked, &format!("ffff\r\n{{}}{next}"), 400),
        (chunked, &format!("x\r\n{{}}{next}"), 400),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let line = format!("POST {LOGIN} HTTP/1.1\r\nhost: localhost");
        let request =
            format!("{line}\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream.shutdown().await.expect("no more");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers}: {answer}");
    }
}

/// What follows a body that was not read is the next request.
#[tokio::test]
async fn a_refused_body_does_not_end_the_connection() {
    let app = TestApp::start().await;
    let address = app.base.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let connection = tokio::spawn(connection);
    for (coding, status) in [("br", 415), ("gzip", 400), ("identity", 422)] {
        let request = hyper::Request::post(LOGIN)
            .header("host", address)
            .header("content-type", "application/json")
            .header("content-encoding", coding)
            .body("{}".to_owned())
            .expect("a request");
        sender.ready().await.expect("the same connection");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status);
        answer.into_body().collect().await.expect("a body");
    }
    connection.abort();
}
