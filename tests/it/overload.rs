//! More requests than the process can work on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use poem::{EndpointExt, Route, endpoint::make_sync, handler, web::Data};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore, task::JoinHandle};

use crate::support::{TestApp, app::Builder, connection::answer, http::Answer};

/// A handler that ends when the test says so.
#[derive(Clone)]
struct Desk {
    entered: Arc<AtomicUsize>,
    leave: Arc<Semaphore>,
}

#[handler]
async fn work(desk: Data<&Desk>) -> &'static str {
    desk.entered.fetch_add(1, Ordering::Relaxed);
    desk.leave.acquire().await.expect("open").forget();
    "done"
}

#[handler]
async fn read(body: Vec<u8>) -> String {
    body.len().to_string()
}

impl Desk {
    /// The application lets in so many at a time, and lets others wait so many milliseconds.
    fn builder(max_in_flight: &str, wait: &str) -> (Self, Builder) {
        let (entered, leave) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let desk = Self { entered, leave };
        let routes = Route::new()
            .at("/work", poem::get(work).post(work).data(desk.clone()))
            .at("/read", poem::post(read))
            .at("/panic", make_sync(|_| -> &str { panic!("on purpose") }));
        let app = TestApp::builder()
            .routes(routes)
            .setting("TWOFOLD_SERVER__MAX_IN_FLIGHT", max_in_flight)
            .setting("TWOFOLD_SERVER__QUEUE_WAIT_MS", wait);
        (desk, app)
    }

    fn entered(&self) -> usize {
        self.entered.load(Ordering::Relaxed)
    }

    /// One more has come in.
    async fn enter(&self, app: &TestApp) -> JoinHandle<Answer> {
        let before = self.entered();
        let answer = tokio::spawn(app.get("/work").send());
        let started = Instant::now();
        while self.entered() == before {
            assert!(started.elapsed() < Duration::from_secs(5), "it doesn't come in");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answer
    }

    fn let_leave(&self, count: usize) {
        self.leave.add_permits(count);
    }
}

#[tokio::test]
async fn who_is_too_many_is_refused_and_probes_are_answered() {
    let (desk, app) = Desk::builder("2", "30");
    let app = app.start().await;
    let inside = [desk.enter(&app).await, desk.enter(&app).await];
    for request in [app.get("/work"), app.post("/work", json!({"small": "body"}))] {
        let refused = request.send().await;
        assert_eq!(refused.assert_error(503, "server_busy")["code"], 503);
        assert_eq!(refused.header("retry-after"), "1");
    }
    for probe in ["/health/live", "/health/ready", "/api/v1/config/health"] {
        app.get(probe).send().await.data();
    }
    app.get("/health/live/more").send().await.assert_error(503, "server_busy");
    assert_eq!(desk.entered(), 2, "no other has come in");
    desk.let_leave(3);
    for answer in inside {
        assert_eq!(answer.await.expect("answered").text, "done");
    }
    assert_eq!(app.get("/work").send().await.text, "done");
}

#[tokio::test]
async fn who_waits_gets_the_turn_of_one_who_leaves() {
    let (desk, app) = Desk::builder("1", "900");
    let app = app.start().await;
    let first = desk.enter(&app).await;
    let second = tokio::spawn(app.get("/work").send());
    // It is refused at once if nobody may wait.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(desk.entered(), 1);
    desk.let_leave(2);
    for answer in [first, second] {
        assert_eq!(answer.await.expect("answered").text, "done");
    }
}

#[tokio::test]
async fn who_sends_slowly_keeps_nobody_waiting() {
    let (_, app) = Desk::builder("2", "30");
    let app = app.start().await;
    let start = async |head: &str, body: &str| {
        let mut client = TcpStream::connect(app.address()).await.expect("connected");
        let text = format!("POST /read HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{body}");
        client.write_all(text.as_bytes()).await.expect("written");
        client
    };
    // None of them is sent to its end.
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(start("content-length: 100", "x").await);
        slow.push(start("transfer-encoding: chunked", "1\r\nx\r\n").await);
    }
    // Those with large bodies have but one of the two turns.
    let large =
        [start("content-length: 100000", "x").await, start("content-length: 100000", "x").await];
    let [mut one, mut two] = large;
    let refused = tokio::select! {
        answer = answer(&mut one) => answer,
        answer = answer(&mut two) => answer,
    };
    assert!(refused.1.contains("server_busy"), "{refused:?}");
    assert_eq!(app.post("/read", json!({"small": "body"})).send().await.text, "16");
}

#[tokio::test]
async fn turns_come_back_however_a_request_ends() {
    let (_, app) = Desk::builder("1", "90");
    let app = app.request_timeout(300).start().await;
    app.get("/panic").send().await.assert_error(500, "internal_error");
    app.get("/work").send().await.assert_error(503, "request_timeout");
    app.get("/panic").send().await.assert_error(500, "internal_error");
}
