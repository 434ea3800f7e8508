//! Answers compressed by gzip, and which are not.

use std::{
    io::{Read, Write},
    sync::Mutex,
};

use flate2::{read, write::GzDecoder};
use futures_util::stream;
use poem::{Body, Response, Route, endpoint::make_sync};
use reqwest::{Method, header::HeaderMap};
use tokio::sync::mpsc;

use crate::support::TestApp;

/// The headers and the bytes of an answer.
async fn fetch(
    app: &TestApp,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (HeaderMap, Vec<u8>) {
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", app.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    (answer.headers().clone(), answer.bytes().await.expect("a body").to_vec())
}

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> (HeaderMap, Vec<u8>) {
    fetch(app, Method::GET, path, headers).await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn unpack(bytes: &[u8]) -> String {
    let mut text = String::new();
    read::GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

const LONG: &str = "All work and no play makes Jack a dull boy. ";

/// Answers of 1 KiB and more, each with its own headers.
fn answers() -> Route {
    let with = |headers: &'static [(&'static str, &'static str)]| {
        poem::get(make_sync(move |_| {
            let mut answer = Response::builder();
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            answer.body(LONG.repeat(100))
        }))
    };
    let posted =
        make_sync(|_| Response::builder().content_type("text/plain").body(LONG.repeat(100)));
    Route::new()
        .at("/text", with(&[("content-type", "text/plain")]))
        .at("/posted", poem::post(posted))
        .at("/tagged", with(&[("content-type", "text/csv"), ("etag", "\"abc\"")]))
        .at("/weak", with(&[("content-type", "image/svg+xml"), ("etag", "W/\"abc\"")]))
        .at("/encoded", with(&[("content-type", "text/css"), ("content-encoding", "br")]))
        .at("/kept", with(&[("content-type", "text/css"), ("cache-control", "a, no-transform")]))
        .at("/picture", with(&[("content-type", "image/png")]))
        .at("/untyped", with(&[]))
        .at(
            "/unchanged",
            poem::get(make_sync(|_| {
                Response::builder()
                    .status(poem::http::StatusCode::NOT_MODIFIED)
                    .header("etag", "\"abc\"")
                    .finish()
            })),
        )
        .at(
            "/brief",
            poem::get(make_sync(|_| {
                Response::builder().content_type("text/plain").body("a".repeat(1023))
            })),
        )
}

#[tokio::test]
async fn long_texts_are_compressed_for_those_who_take_it() {
    let app = TestApp::builder().routes(answers()).start().await;
    let (headers, plain) = get(&app, "/text", &[]).await;
    assert_eq!(header(&headers, "content-encoding"), "");
    assert_eq!(header(&headers, "vary"), "Accept-Encoding");
    assert_eq!(header(&headers, "content-length"), plain.len().to_string());
    for accepted in ["gzip", "gzip, deflate, br, zstd", "*", "identity;q=0, gzip;q=0.1"] {
        let (headers, packed) = get(&app, "/text", &[("accept-encoding", accepted)]).await;
        assert_eq!(header(&headers, "content-encoding"), "gzip", "{accepted}");
        assert_eq!(header(&headers, "vary"), "Accept-Encoding");
        assert_eq!(header(&headers, "content-length"), packed.len().to_string());
        assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
        assert_eq!(unpack(&packed).as_bytes(), plain);
    }
    for refused in ["", "br", "gzip;q=0", "gzip;q=0.2, identity;q=0.5"] {
        let (headers, found) = get(&app, "/text", &[("accept-encoding", refused)]).await;
        assert_eq!(header(&headers, "content-encoding"), "", "{refused}");
        assert!(found == plain);
    }
}

#[tokio::test]
async fn a_compressed_answer_has_a_tag_of_its_own() {
    let app = TestApp::builder().routes(answers()).start().await;
    let gzip = ("accept-encoding", "gzip");
    for (path, plain, compressed) in
        [("/tagged", "\"abc\"", "\"abc-gzip\""), ("/weak", "W/\"abc\"", "W/\"abc\"")]
    {
        assert_eq!(header(&get(&app, path, &[]).await.0, "etag"), plain);
        assert_eq!(header(&get(&app, path, &[gzip]).await.0, "etag"), compressed);
    }
    let (headers, _) = get(&app, "/unchanged", &[gzip]).await;
    assert_eq!(
        (header(&headers, "etag"), header(&headers, "vary")),
        ("\"abc\"", "Accept-Encoding")
    );
}

#[tokio::test]
async fn what_does_not_shrink_or_must_not_change_stays() {
    let app = TestApp::builder().routes(answers()).start().await;
    for path in ["/encoded", "/kept", "/picture", "/untyped", "/brief", "/health/live", "/nope"] {
        let (headers, body) = get(&app, path, &[("accept-encoding", "gzip")]).await;
        let expected = if path == "/encoded" { "br" } else { "" };
        assert_eq!(header(&headers, "content-encoding"), expected, "{path}");
        assert_eq!(header(&headers, "vary"), "", "{path}");
        assert_eq!(header(&headers, "content-length"), body.len().to_string(), "{path}");
    }
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes() {
    let (parts, more) = mpsc::channel::<&str>(1);
    let more = Mutex::new(Some(more));
    let stream = make_sync(move |_| {
        let more = more.lock().expect("unlocked").take().expect("asked once");
        let parts = stream::unfold(more, |mut more| async {
            Some((Ok::<_, std::io::Error>(more.recv().await?), more))
        });
        Response::builder().content_type("text/event-stream").body(Body::from_bytes_stream(parts))
    });
    let app =
        TestApp::builder().routes(Route::new().at("/stream", poem::get(stream))).start().await;
    let request = reqwest::Client::new().get(format!("{}/stream", app.base));
    let mut answer = request.header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(header(answer.headers(), "content-encoding"), "gzip");
    let mut unpacked = GzDecoder::new(Vec::new());
    let mut text = String::new();
    for part in ["one", "two"] {
        parts.send(part).await.expect("taken");
        text.push_str(part);
        // No second part is sent before the first one is there.
        while unpacked.get_ref().len() < text.len() {
            let chunk = answer.chunk().await.expect("read").expect("more");
            unpacked.write_all(&chunk).expect("gzip");
            unpacked.flush().expect("gzip");
        }
        assert_eq!(unpacked.get_ref(), text.as_bytes());
    }
    drop(parts);
    while let Some(chunk) = answer.chunk().await.expect("read") {
        unpacked.write_all(&chunk).expect("gzip");
    }
    assert_eq!(unpacked.finish().expect("the end"), text.as_bytes());
}

/// BREACH: no answer that a stranger could make a browser ask for, and none that may hold a token.
#[tokio::test]
async fn what_could_give_secrets_away_stays() {
    let app = TestApp::builder().routes(answers()).start().await;
    let gzip = ("accept-encoding", "gzip");
    let (headers, _) = get(&app, "/tagged", &[gzip, ("cookie", "theme=dark")]).await;
    assert_eq!(header(&headers, "content-encoding"), "");
    let (headers, body) = fetch(&app, Method::POST, "/posted", &[gzip]).await;
    assert_eq!(header(&headers, "content-encoding"), "");
    assert!(body.len() > 1024);
}
