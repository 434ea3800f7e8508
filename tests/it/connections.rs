//! Clients that are slow, silent or too many: whom the server hangs up on, and whom it doesn't.

use std::{pin::pin, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request,
    body::{Bytes, Frame},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use poem::{Body, Route, error::ReadBodyError, get, handler, http::StatusCode, post};
use rustls::version::TLS13;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use twofold::server::{Listener, TlsFiles};

use crate::support::{
    TestApp,
    app::{Builder, free_port},
    connection::{
        Certificate, answer, connect_tls, get as get_text, live, send, until_closed, within,
    },
};

/// Larger than what the kernel buffers on the way.
const LARGE: usize = 64 << 20;

/// Of a body that is not received before its request gets a turn.
const TOO_LARGE: usize = 20_000;

/// An application with these settings of `server`, and routes that take their time.
fn with_limits(limits: &[(&str, u32)]) -> Builder {
    let routes = Route::new()
        .at("/slow", get(slow))
        .at("/slow-reader", post(slow_reader))
        .at("/count", post(count));
    let with_limit = |builder: Builder, (name, limit): &(&str, u32)| {
        builder.setting(&format!("TWOFOLD_SERVER__{name}"), &limit.to_string())
    };
    limits.iter().fold(TestApp::builder().routes(routes), with_limit)
}

#[handler]
async fn slow() -> &'static str {
    sleep(Duration::from_secs(1)).await;
    "done"
}

#[handler]
async fn count(body: Body) -> poem::Result<String> {
    Ok(body.into_vec().await?.len().to_string())
}

/// Takes longer for the first piece of a body than the client may for the second.
#[handler]
async fn slow_reader(body: Body) -> Result<String, ReadBodyError> {
    let mut pieces = pin!(body.into_bytes_stream().map_err(ReadBodyError::Io));
    let first = pieces.next().await.expect("a piece")?;
    sleep(Duration::from_millis(1500)).await;
    let mut others = 0;
    while let Some(piece) = pieces.next().await {
        others += piece?.len();
    }
    Ok(format!("{} {others}", first.len()))
}

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address()).await.expect("connected")
}

/// Sends a request by HTTP/1.1 and reads the answer's body.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("written");
    answer(stream).await.1
}

fn post_of(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n")
}

type RequestBody = BoxBody<Bytes, std::io::Error>;

struct Http2 {
    sender: SendRequest<RequestBody>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    async fn connect(app: &TestApp) -> Self {
        let io = TokioIo::new(connect(app).await);
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        Self { sender, connection: tokio::spawn(connection) }
    }

    async fn send(&mut self, request: Request<RequestBody>) -> (StatusCode, String) {
        let answer = within(self.sender.send_request(request)).await.expect("an answer");
        let status = answer.status();
        let body = within(answer.into_body().collect()).await.expect("a body").to_bytes();
        (status, String::from_utf8(body.into()).expect("UTF-8"))
    }

    async fn get(&mut self, path: &str) -> String {
        self.send(get_request(path)).await.1
    }
}

fn get_request(path: &str) -> Request<RequestBody> {
    let body = Empty::new().map_err(|never| match never {}).boxed();
    Request::get(format!("http://localhost{path}")).body(body).expect("a request")
}

struct Tls {
    certificate: Certificate,
    files: TlsFiles,
    _folder: tempfile::TempDir,
}

impl Tls {
    fn make() -> Self {
        let (folder, certificate) = (tempfile::tempdir().expect("directory"), Certificate::make());
        let files = certificate.write(folder.path());
        Self { certificate, files, _folder: folder }
    }

    async fn start(&self, builder: Builder) -> TestApp {
        let listener = Listener::bind(&free_port(), Some(self.files.clone())).await;
        builder.listener(listener.expect("bound")).start().await
    }
}

#[tokio::test]
async fn a_client_that_begins_and_does_not_end_is_hung_up_on() {
    let app = with_limits(&[("READ_TIMEOUT_MS", 300)]).start().await;
    let beginnings = ["", "G", "GET / HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n", "\r\n\r\n"];
    for beginning in beginnings {
        let mut stream = connect(&app).await;
        stream.write_all(beginning.as_bytes()).await.expect("written");
        assert_eq!(until_closed(&mut stream).await, b"", "{beginning:?}");
    }
    // Each byte in time, and never the last one.
    let (mut from, mut to) = connect(&app).await.into_split();
    let dripping = tokio::spawn(async move {
        let head = get_text("/").repeat(20).replace("\r\n\r\n", "\r\nx: ");
        for byte in head.bytes() {
            if to.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("all of it was taken");
    });
    assert_eq!(until_closed(&mut from).await, b"");
    within(dripping).await.expect("cut");
    // The same after a whole request.
    let mut stream = connect(&app).await;
    ask(&mut stream, &get_text("/health/live")).await;
    stream.write_all(b"GET / HT").await.expect("written");
    assert_eq!(until_closed(&mut stream).await, b"");
}

#[tokio::test]
async fn a_tls_client_that_begins_and_does_not_end_is_hung_up_on() {
    let tls = Tls::make();
    let limits = [("READ_TIMEOUT_MS", 300), ("MAX_CONNECTIONS", 1)];
    let app = tls.start(with_limits(&limits)).await;
    for beginning in [b"".as_slice(), b"\x16\x03\x01"] {
        let mut unfinished = connect(&app).await;
        unfinished.write_all(beginning).await.expect("written");
        // A handshake counts as a connection: the next client waits until it is cut.
        let next = connect_tls(app.address(), &tls.certificate, &TLS13, b"http/1.1");
        let mut next = within(next).await.expect("connected");
        let is_closed = timeout(Duration::from_millis(100), until_closed(&mut unfinished)).await;
        assert!(is_closed.is_ok(), "the next one didn't have to wait");
        assert_eq!(until_closed(&mut next).await, b"");
    }
}

#[tokio::test]
async fn a_connection_may_be_idle_for_a_while() {
    let limits = [("READ_TIMEOUT_MS", 200), ("IDLE_TIMEOUT_MS", 1500)];
    let app = with_limits(&limits).start().await;
    let mut stream = connect(&app).await;
    let mut http2 = Http2::connect(&app).await;
    for _ in 0..2 {
        assert!(ask(&mut stream, &get_text("/health/live")).await.contains("alive"));
        assert!(http2.get("/health/live").await.contains("alive"));
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(until_closed(&mut stream).await, b"");
    // It was told so, and not just cut.
    within(http2.connection).await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn a_slow_handler_is_no_slow_client() {
    let limits = [("READ_TIMEOUT_MS", 200), ("WRITE_TIMEOUT_MS", 200), ("IDLE_TIMEOUT_MS", 200)];
    let app = with_limits(&limits).start().await;
    let mut stream = connect(&app).await;
    assert_eq!(ask(&mut stream, &get_text("/slow")).await, "done");
    let mut http2 = Http2::connect(&app).await;
    assert_eq!(http2.get("/slow").await, "done");

    let app = with_limits(&[("READ_TIMEOUT_MS", 1000)]).start().await;
    let mut stream = connect(&app).await;
    for (piece, pause) in [(post_of("/slow-reader", TOO_LARGE).as_str(), 100), ("1", 1700)] {
        stream.write_all(piece.as_bytes()).await.expect("written");
        sleep(Duration::from_millis(pause)).await;
    }
    let rest = "x".repeat(TOO_LARGE - 1);
    assert_eq!(ask(&mut stream, &rest).await, format!("1 {}", rest.len()));
}

/// A body of pieces that come each after this many milliseconds.
fn dripping(piece: usize, pieces: usize, pause: u64) -> RequestBody {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..pieces {
            sleep(Duration::from_millis(pause)).await;
            if send.send(Ok(Frame::data(vec![0; piece].into()))).await.is_err() {
                return;
            }
        }
    });
    let next = async |mut receive: mpsc::Receiver<_>| Some((receive.recv().await?, receive));
    BodyExt::boxed(StreamBody::new(futures_util::stream::unfold(receive, next)))
}

#[tokio::test]
async fn a_body_must_come_at_a_steady_pace() {
    let app = with_limits(&[("READ_TIMEOUT_MS", 1000)]).start().await;
    // Two bytes a second are too few; a thousand are enough, however long they take.
    let (mut from, mut to) = connect(&app).await.into_split();
    to.write_all(post_of("/count", 100).as_bytes()).await.expect("written");
    let drip = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
    });
    let (head, body) = answer(&mut from).await;
    assert!(head.starts_with("HTTP/1.1 408 ") && body.contains("body_timeout"), "{head}{body}");
    assert_eq!(until_closed(&mut from).await, b"");
    within(drip).await.expect("cut");

    let mut stream = connect(&app).await;
    stream.write_all(post_of("/count", 2500).as_bytes()).await.expect("written");
    for _ in 0..25 {
        stream.write_all(&[0; 100]).await.expect("written");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(answer(&mut stream).await.1, "2500");

    // In HTTP/2 only the slow one is cut.
    let mut http2 = Http2::connect(&app).await;
    let mut others = http2.sender.clone();
    let post = |body| Request::post("http://localhost/count").body(body).expect("a request");
    let steady = tokio::spawn(others.send_request(post(dripping(100, 25, 100))));
    let (status, body) = http2.send(post(dripping(1, 100, 500))).await;
    assert!(status == 408 && body.contains("body_timeout"), "{status} {body}");
    let steady = within(steady).await.expect("no panic").expect("an answer");
    assert_eq!(steady.status(), 200);
}

#[tokio::test]
async fn a_request_that_runs_out_of_time_says_whose_turn_it_was() {
    let app = with_limits(&[("READ_TIMEOUT_MS", 60_000)]).request_timeout(300).start().await;
    app.get("/slow").send().await.assert_error(503, "request_timeout");
    let mut stream = connect(&app).await;
    stream.write_all((post_of("/count", TOO_LARGE) + "1").as_bytes()).await.expect("written");
    let (head, body) = answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 408 ") && body.contains("body_timeout"), "{head}{body}");
}

#[tokio::test]
async fn an_answer_reaches_a_client_that_still_sends() {
    let app = TestApp::start().await;
    let mut stream = connect(&app).await;
    let login = post_of("/api/v1/auth/login", LARGE);
    within(stream.write_all(login.as_bytes())).await.expect("written");
    within(stream.write_all(&vec![b'x'; LARGE])).await.expect("all of it is taken");
    let (head, body) = answer(&mut stream).await;
    assert!(
        head.starts_with("HTTP/1.1 413 ") && body.contains("payload_too_large"),
        "{head}{body}"
    );
    assert_eq!(until_closed(&mut stream).await, b"");

    // What is thrown away is bounded, however steadily it comes; and nobody is waited for.
    let app = with_limits(&[("READ_TIMEOUT_MS", 300)]).start().await;
    let (mut from, mut to) = connect(&app).await.into_split();
    within(to.write_all(login.as_bytes())).await.expect("written");
    assert!(answer(&mut from).await.0.starts_with("HTTP/1.1 413 "));
    let sending = async { while to.write_all(&[b'x'; 1000]).await.is_ok() {} };
    within(sending).await;
    let app = with_limits(&[("MAX_CONNECTIONS", 1)]).start().await;
    let mut silent = connect(&app).await;
    let last = get_text("/health/live").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    assert!(ask(&mut silent, &last).await.contains("alive"));
    let mut next = connect(&app).await;
    let answered = timeout(Duration::from_secs(5), ask(&mut next, &last)).await;
    assert!(answered.is_ok_and(|answer| answer.contains("alive")), "the silent one is still there");
}

/// Bytes that tell when the server has let go of them.
struct Held(Vec<u8>, #[expect(dead_code, reason = "closes its channel")] mpsc::Sender<()>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// An application whose `/large` answers [`LARGE`] bytes, and what ends with each answer.
async fn start_large(limits: &[(&str, u32)], tls: Option<&Tls>) -> (TestApp, mpsc::Receiver<()>) {
    let (held, released) = mpsc::channel(1);
    let held = std::sync::Mutex::new(Some(held));
    let large = poem::endpoint::make_sync(move |_| {
        let held = held.lock().expect("lock").take().expect("asked once");
        Body::from_bytes(Bytes::from_owner(Held(vec![0; LARGE], held)))
    });
    let builder = with_limits(limits).routes(Route::new().at("/large", get(large)));
    let app = match tls {
        Some(tls) => tls.start(builder).await,
        None => builder.start().await,
    };
    (app, released)
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut() {
    let limits = [("WRITE_TIMEOUT_MS", 300)];
    let request = get_text("/large");

    let (app, mut released) = start_large(&limits, None).await;
    let mut stream = connect(&app).await;
    stream.write_all(request.as_bytes()).await.expect("written");
    assert!(within(released.recv()).await.is_none());
    assert!(until_closed(&mut stream).await.len() < LARGE);

    let tls = Tls::make();
    let (app, mut released) = start_large(&limits, Some(&tls)).await;
    let stream = connect_tls(app.address(), &tls.certificate, &TLS13, b"http/1.1").await;
    let mut stream = stream.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("written");
    assert!(within(released.recv()).await.is_none());
    assert!(until_closed(&mut stream).await.len() < LARGE);

    // A stream of HTTP/2 stalls by itself: the socket and the other streams go on.
    let (app, mut released) = start_large(&limits, None).await;
    let mut http2 = Http2::connect(&app).await;
    let stalled = http2.sender.send_request(get_request("/large")).await.expect("an answer");
    for _ in 0..10 {
        assert!(http2.get("/health/live").await.contains("alive"));
        sleep(Duration::from_millis(20)).await;
    }
    assert!(within(released.recv()).await.is_none());
    assert!(stalled.into_body().collect().await.is_err(), "not reset");
    assert!(http2.get("/health/live").await.contains("alive"));
}

#[tokio::test]
async fn a_client_that_takes_its_answer_slowly_gets_all_of_it() {
    let limits = [("WRITE_TIMEOUT_MS", 1000), ("IDLE_TIMEOUT_MS", 1000)];
    let (app, _released) = start_large(&limits, None).await;
    let mut stream = connect(&app).await;
    stream.write_all(get_text("/large").as_bytes()).await.expect("written");
    // As a whole slower than either limit.
    let mut piece = vec![0; LARGE / 64];
    for _ in 0..64 {
        within(stream.read_exact(&mut piece)).await.expect("more of it");
        sleep(Duration::from_millis(40)).await;
    }
}

#[tokio::test]
async fn a_full_house_has_others_wait() {
    let app = with_limits(&[("MAX_CONNECTIONS", 2)]).start().await;
    let (mut one, mut two) = (connect(&app).await, connect(&app).await);
    for stream in [&mut one, &mut two] {
        ask(stream, &get_text("/health/live")).await;
    }
    let mut three = connect(&app).await;
    three.write_all(get_text("/health/live").as_bytes()).await.expect("written");
    let answered = timeout(Duration::from_millis(300), three.read_u8()).await;
    assert!(answered.is_err(), "{answered:?}");
    drop(one);
    assert!(answer(&mut three).await.1.contains("alive"));
    assert!(ask(&mut two, &get_text("/health/live")).await.contains("alive"));
}

#[tokio::test]
async fn heads_are_bounded() {
    let app = TestApp::start().await;
    let field = "x".repeat(70 * 1024);
    let mut stream = connect(&app).await;
    let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {field}\r\n\r\n");
    // It may hang up before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let sent = until_closed(&mut stream).await;
    assert!(sent.is_empty() || sent.starts_with(b"HTTP/1.1 431 "), "{sent:?}");

    let mut request = live("http");
    request.headers_mut().insert("x", field[..20 * 1024].parse().expect("a value"));
    let stream = connect(&app).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let refused = within(sender.send_request(request.map(Full::from))).await;
    assert!(refused.is_ok_and(|answer| answer.status() == 431));
    // Smaller ones are fine.
    assert_eq!(send(connect(&app).await, true, live("http")).await.0, 200);
}
