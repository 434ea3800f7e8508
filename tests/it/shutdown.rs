//! How the server ends: what is in flight is answered, what is idle is closed, nobody is refused
//! before load balancers know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use poem::{Endpoint, Route, get};
use rustix::process::Signal;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Notify, Semaphore},
    time::sleep,
};

use crate::support::{
    TestApp, TestDb,
    connection::{answer, get as get_text, until_closed, within},
    program::Program,
};

/// A handler that waits until it may answer.
#[derive(Clone)]
struct Gate {
    entered: Arc<Semaphore>,
    open: Arc<Notify>,
}

impl Gate {
    fn new() -> Self {
        Self { entered: Arc::new(Semaphore::new(0)), open: Arc::default() }
    }

    /// Waits until so many requests wait for the gate to open.
    async fn has_let_in(&self, requests: u32) {
        within(self.entered.acquire_many(requests)).await.expect("not closed").forget();
    }
}

impl Endpoint for Gate {
    type Output = &'static str;

    async fn call(&self, _: poem::Request) -> poem::Result<&'static str> {
        let open = self.open.notified();
        self.entered.add_permits(1);
        open.await;
        Ok("done")
    }
}

async fn start(drain_ms: &str) -> (TestApp, Gate) {
    let gate = Gate::new();
    let builder = TestApp::builder().routes(Route::new().at("/gate", get(gate.clone())));
    (builder.setting("TWOFOLD_SERVER__DRAIN_TIMEOUT_MS", drain_ms).start().await, gate)
}

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address()).await.expect("connected")
}

#[tokio::test]
async fn what_is_in_flight_is_answered_and_what_is_idle_is_closed() {
    let (mut app, gate) = start("30000").await;
    let mut silent = connect(&app).await;
    let (mut idle, mut busy) = (connect(&app).await, connect(&app).await);
    idle.write_all(get_text("/health/live").as_bytes()).await.expect("written");
    answer(&mut idle).await;
    busy.write_all(get_text("/gate").as_bytes()).await.expect("written");

    let connect_http2 = async || {
        let io = TokioIo::new(connect(&app).await);
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        (sender, tokio::spawn(connection))
    };
    let request = |path: &str| {
        let request = Request::get(format!("http://localhost{path}"));
        request.body(Empty::<Bytes>::new()).expect("a request")
    };
    let (mut http2, http2_busy) = connect_http2().await;
    let in_flight = tokio::spawn(http2.send_request(request("/gate")));
    let (mut other, http2_idle) = connect_http2().await;
    within(other.send_request(request("/health/live"))).await.expect("an answer");

    gate.has_let_in(2).await;
    app.stop();
    for stream in [&mut silent, &mut idle] {
        assert_eq!(until_closed(stream).await, b"");
    }
    within(http2_idle).await.expect("no panic").expect("a clean end");
    assert!(TcpStream::connect(app.address()).await.is_err(), "still accepting");

    gate.open.notify_waiters();
    let (head, body) = answer(&mut busy).await;
    assert!(head.contains("connection: close") && body == "done", "{head}{body}");
    assert_eq!(until_closed(&mut busy).await, b"");
    let answer = within(in_flight).await.expect("no panic").expect("an answer");
    assert_eq!(within(answer.into_body().collect()).await.expect("a body").to_bytes(), "done");
    within(http2_busy).await.expect("no panic").expect("a clean end");
    app.stopped().await;
}

#[tokio::test]
async fn what_takes_too_long_is_cut() {
    let (mut app, gate) = start("100").await;
    let mut busy = connect(&app).await;
    busy.write_all(get_text("/gate").as_bytes()).await.expect("written");
    gate.has_let_in(1).await;
    app.stop();
    app.stopped().await;
    assert_eq!(until_closed(&mut busy).await, b"");
    assert_eq!(Arc::strong_count(&gate.open), 1, "the request still waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_accepts_for_a_while_when_it_is_told_to_stop() {
    let (dir, db) = (tempfile::tempdir().expect("directory"), TestDb::create().await);
    let delay = ("TWOFOLD_SERVER__SHUTDOWN_DELAY_MS", "3000");
    let mut program = Program::start(dir.path(), &[("DATABASE_URL", &db.url), delay]);
    let address = program.base.strip_prefix("http://").expect("an address").to_owned();
    let status = async |path: &str| {
        let mut stream = TcpStream::connect(&address).await.expect("still accepting");
        stream.write_all(get_text(path).as_bytes()).await.expect("written");
        answer(&mut stream).await.0[9..12].to_owned()
    };
    assert_eq!(status("/health/ready").await, "200");
    program.signal(Signal::TERM);
    let told = Instant::now();
    while status("/health/ready").await == "200" {
        assert!(told.elapsed() < Duration::from_secs(2), "still ready");
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(status("/health/ready").await, "503");
    assert_eq!(status("/health/live").await, "200");
    assert_eq!(program.wait().code(), Some(0), "{}", program.stderr());
    assert!(TcpStream::connect(&address).await.is_err());
}

/// Files are what a process runs out of first.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_program_survives_a_lack_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

    let (dir, db) = (tempfile::tempdir().expect("directory"), TestDb::create().await);
    let program = Program::start(dir.path(), &[("DATABASE_URL", &db.url)]);
    let address = program.base.strip_prefix("http://").expect("an address").to_owned();
    let connect = async || TcpStream::connect(&address).await.expect("in the queue");
    let mut first = connect().await;
    let ask = get_text("/health/live");
    first.write_all(ask.as_bytes()).await.expect("written");
    answer(&mut first).await;

    let files = format!("/proc/{}/fd", program.pid().as_raw_nonzero());
    let files = std::fs::read_dir(files).expect("it runs").count() as u64 + 5;
    let limit = Rlimit { current: Some(files), ..getrlimit(Resource::Nofile) };
    prlimit(Some(program.pid()), Resource::Nofile, limit).expect("allowed");
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(connect().await);
    }
    let started = Instant::now();
    while !program.stderr().contains("can't accept connections") {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", program.stderr());
        sleep(Duration::from_millis(10)).await;
    }
    // It goes on for those that it has, and tries again without telling each time.
    sleep(Duration::from_millis(500)).await;
    first.write_all(ask.as_bytes()).await.expect("written");
    answer(&mut first).await;
    assert_eq!(program.stderr().matches("can't accept connections").count(), 1);
    // Those that had to wait are served as soon as others go.
    let mut last = others.pop().expect("the last one");
    drop(others);
    last.write_all(ask.as_bytes()).await.expect("written");
    assert!(answer(&mut last).await.1.contains("alive"));
}
