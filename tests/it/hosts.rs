//! Which host a request names, and what answers say of ours.

use http_body_util::Full;
use hyper::{Request, Version};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    TestApp,
    connection::{answer, send},
};

#[tokio::test]
async fn each_request_names_one_host() {
    let app = TestApp::start().await;
    let ask = async |request: &str| {
        let mut stream = TcpStream::connect(app.address()).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("written");
        answer(&mut stream).await
    };
    for (target, version, fields) in [
        ("/health/live", "1.1", "Host: localhost"),
        ("/health/live", "1.1", "host: [::1]:8001"),
        // A simple probe's.
        ("/health/live", "1.0", "X: y"),
        // The target wins (RFC 9112, 3.2.2).
        ("http://api.example.com/health/live", "1.1", "Host: other.example.com"),
    ] {
        let (head, _) = ask(&format!("GET {target} HTTP/{version}\r\n{fields}\r\n\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/{version} 200 ")), "{target} {fields}: {head}");
        assert!(!head.to_lowercase().contains("\r\nserver:"), "{head}");
    }
    for (target, fields) in [
        ("/health/live", "X: y"),
        ("http://localhost/health/live", "X: y"),
        ("/health/live", "Host:"),
        ("/health/live", "Host: a b"),
        ("/health/live", "Host: a/b"),
        ("/health/live", "Host: ada@localhost"),
        ("/health/live", "Host: localhost:x"),
        ("/health/live", "Host: löcalhost"),
        ("/health/live", "Host: localhost, localhost"),
        ("/health/live", "Host: localhost\r\nHost: localhost"),
        ("http://localhost/health/live", "Host: localhost\r\nHost: localhost"),
        ("http://ada@localhost/health/live", "Host: localhost"),
    ] {
        let (head, body) = ask(&format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{target} {fields}: {head}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["error"], "malformed_request", "{body}");
        assert!(head.contains(body["request_id"].as_str().expect("an id")), "{head}");
    }
}

#[tokio::test]
async fn each_request_of_http2_names_one_host() {
    let app = TestApp::start().await;
    // A target without a host is sent without an :authority.
    let request = |target: &str| Request::get(target).version(Version::HTTP_11);
    let (named, bare) = ("http://localhost/health/live", "/health/live");
    for (request, status) in [
        (request(named), 200),
        (request(named).header("host", "LOCALHOST"), 200),
        (request(bare).header("host", "localhost"), 200),
        (request(bare), 400),
        (request(bare).header("host", ""), 400),
        (request(named).header("host", "other.example.com"), 400),
        (request(named).header("host", "localhost").header("host", "localhost"), 400),
    ] {
        let request = request.body(Full::default()).expect("a request");
        let shown = format!("{request:?}");
        let stream = TcpStream::connect(app.address()).await.expect("connected");
        let (answered, body) = send(stream, true, request).await;
        assert_eq!(answered, status, "{shown}: {body}");
        assert!(status == 200 || body["error"] == "malformed_request", "{shown}: {body}");
    }
}
