//! HEAD and OPTIONS, which every route has.

use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use poem::{Response, Route, endpoint::make_sync};
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::TestApp;

/// The head of the answer to one request over HTTP/1.1, and how many bytes follow it.
async fn raw(app: &TestApp, request: &str) -> (String, usize) {
    let address = app.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("{request}\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(answer[..end].to_vec()).expect("text");
    (head, answer.len() - end - 4)
}

/// The lines of a head that HEAD and GET have in common: not those that differ each time, nor how
/// a body is sent.
fn common(head: &str) -> Vec<&str> {
    let others = ["date:", "x-request-id:", "transfer-encoding:"];
    let is_common = |line: &&str| !others.iter().any(|other| line.starts_with(other));
    let mut lines: Vec<&str> = head.lines().filter(is_common).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn head_says_what_get_would() {
    let unchanged = make_sync(|_| {
        Response::builder().status(StatusCode::NOT_MODIFIED).header("etag", "\"abc\"").finish()
    });
    let routes = Route::new().at("/unchanged", poem::get(unchanged));
    let mut app = TestApp::builder().routes(routes).start().await;
    let token = app.user_token("ada@example.com").await;
    for (path, header) in [
        ("/api/v1/config/release", ""),
        ("/api/v1/users/me", ""),
        ("/api/v1/users/me", "\r\nauthorization: Bearer x"),
        ("/api/v1/users/me", &format!("\r\nauthorization: Bearer {token}")),
        ("/api/v1/backoffice/users?page=x", ""),
        ("/api/v1/auth/login", ""),
        ("/health/live", ""),
        ("/client/openapi.json", ""),
        ("/client/docs", ""),
        ("/client/docs", "\r\naccept-encoding: gzip"),
        ("/docs", ""),
        ("/", ""),
        ("/nope", ""),
        ("/unchanged", ""),
    ] {
        let (get, length) = raw(&app, &format!("GET {path} HTTP/1.1{header}")).await;
        let (head, nothing) = raw(&app, &format!("HEAD {path} HTTP/1.1{header}")).await;
        assert_eq!(nothing, 0, "{path}");
        assert_eq!(common(&head), common(&get), "{path}");
        let is_known = path != "/unchanged";
        let has_length = head.contains(&format!("\r\ncontent-length: {length}\r\n"));
        assert_eq!(has_length, is_known, "{path}: {head}");
        assert!(is_known || !head.contains("content-length"), "{path}: {head}");
    }
}

#[tokio::test]
async fn head_over_http2_has_no_body_either() {
    let app = TestApp::start().await;
    let stream = TcpStream::connect(app.base.trim_start_matches("http://")).await.expect("open");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let url = format!("{}/client/openapi.json", app.base);
    let length = app.get("/client/openapi.json").send().await.text.len().to_string();
    let request = Request::head(&url).body(String::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-length"], length.as_str());
    assert!(hyper::body::Body::is_end_stream(answer.body()));
    connection.abort();
}

#[tokio::test]
async fn options_names_the_methods_of_a_route() {
    let app = TestApp::start().await;
    for (path, allow) in [
        ("/api/v1/users/me", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/api/v1/auth/login", "OPTIONS, POST"),
        ("/api/v1/backoffice/users/x", "GET, HEAD, OPTIONS, PATCH"),
        ("/health/live", "GET, HEAD, OPTIONS"),
        ("/client/docs", "GET, HEAD, OPTIONS"),
    ] {
        let answer = app.request(Method::OPTIONS, path).send().await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
        assert_eq!(answer.header("allow"), allow, "{path}");
        assert_eq!(answer.header("content-type"), "", "{path}");
    }
    let unknown = app.request(Method::OPTIONS, "/nope").send().await;
    unknown.assert_error(404, "route_not_found");
    let (all, _) = raw(&app, "OPTIONS * HTTP/1.1").await;
    assert!(all.starts_with("HTTP/1.1 204 "), "{all}");
}

#[tokio::test]
async fn a_tunnel_is_refused() {
    let app = TestApp::start().await;
    let (answer, _) = raw(&app, "CONNECT localhost:22 HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
