//! What Prometheus reads, and where.

use std::collections::BTreeMap;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    TestApp, TestDb,
    http::Request,
    program::{Program, dir},
};

/// The value of each series, as it is written.
fn series(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        let _: f64 = value.parse().expect("a number");
        (name.to_owned(), value.to_owned())
    };
    lines.map(read).collect()
}

async fn scrape(app: &TestApp) -> BTreeMap<String, String> {
    series(&app.core.metrics.render().await.expect("written"))
}

fn requests(surface: &str, method: &str, route: &str, status: &str) -> String {
    format!(
        "twofold_http_requests_total{{surface=\"{surface}\",method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_what_matched_and_never_by_what_was_sent() {
    let app = TestApp::start().await;
    let token = app.admin_token().await;
    app.get("/api/v1/config/health").send().await;
    app.get("/api/v1/users/me").send().await;
    for id in ["018f0000-0000-7000-8000-000000000000", "018f0000-0000-7000-8000-000000000001"] {
        let user = app.get(&format!("/api/v1/backoffice/users/{id}"));
        assert_eq!(user.bearer(&token).send().await.status, 404);
    }
    let before = scrape(&app).await;
    let expected = [
        (requests("client", "GET", "/api/v1/config/health", "2xx"), "1"),
        (requests("client", "GET", "/api/v1/users/me", "4xx"), "1"),
        (requests("backoffice", "GET", "/api/v1/backoffice/users/{id}", "4xx"), "2"),
        (requests("backoffice", "POST", "/api/v1/backoffice/auth/login", "2xx"), "1"),
    ];
    for (name, count) in &expected {
        assert_eq!(before[name], *count, "{name} in {before:#?}");
        let of_duration = name
            .replace("requests_total", "request_duration_seconds_count")
            .replace(",status=\"2xx\"", "")
            .replace(",status=\"4xx\"", "");
        assert_eq!(before[&of_duration], *count, "{of_duration} in {before:#?}");
    }

    for number in 0..20 {
        let path = format!("/canary-{number}/{number}");
        let method = Method::from_bytes(format!("CANARY{number}").as_bytes()).expect("a token");
        app.get(&path).send().await;
        app.get(&format!("/api/v1{path}")).send().await;
        app.request(method, &path).send().await;
    }
    let after = scrape(&app).await;
    let new: Vec<&String> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    let counted = new.iter().filter(|name| name.starts_with("twofold_http_requests_total"));
    assert!(counted.count() <= 3, "{new:#?}");
    assert!(!new.iter().any(|name| name.to_lowercase().contains("canary")), "{new:#?}");
    assert_eq!(after[&requests("other", "GET", "other", "4xx")], "20", "{new:#?}");
    assert_eq!(after[&requests("other", "OTHER", "other", "4xx")], "20", "{new:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_refusals_are_counted() {
    let app = TestApp::builder()
        .setting("TWOFOLD_SERVER__MAX_IN_FLIGHT", "1")
        .setting("TWOFOLD_SERVER__QUEUE_WAIT_MS", "1")
        .start()
        .await;
    let conn = app.core.db.conn().await.expect("a connection");
    let in_use = "twofold_db_connections{state=\"in_use\"}";
    assert_eq!(scrape(&app).await[in_use], "1");
    drop(conn);
    assert_eq!(scrape(&app).await[in_use], "0");

    let body = json!({"email": "nobody@example.com", "password": "long enough for it"});
    let all = (0..30).map(|_| app.post("/api/v1/auth/login", body.clone()).send());
    let answers = futures_util::future::join_all(all).await;
    let refused = answers.iter().filter(|answer| answer.status == 503).count();
    let metrics = scrape(&app).await;
    let login = requests("client", "POST", "/api/v1/auth/login", "4xx");
    assert!(refused > 0);
    assert_eq!(metrics["twofold_http_requests_refused_total"], refused.to_string());
    assert_eq!(metrics[&login], (answers.len() - refused).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_a_listener_of_their_own() {
    let (dir, db) = (dir(), TestDb::create().await);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let variables =
        [("DATABASE_URL", db.url.as_str()), ("TWOFOLD_METRICS__LISTEN", address.as_str())];
    let mut program = Program::start(dir.path(), &variables);
    let client = reqwest::Client::new();
    let request = async |method, path: &str| {
        let request = client.request(method, format!("http://{address}{path}"));
        request.send().await.expect("an answer")
    };
    let answer = request(Method::GET, "/metrics").await;
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().expect("text");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let metrics = series(&answer.text().await.expect("text"));
    for name in [
        "process_start_time_seconds",
        "twofold_http_requests_refused_total",
        "twofold_db_connections{state=\"idle\"}",
        "twofold_log_lines_dropped_total",
        "twofold_log_lines_diverted_total",
    ] {
        assert!(metrics.contains_key(name), "{name} in {metrics:#?}");
    }
    for path in ["/", "/metrics/", "/health/live", "/api/v1/config/health"] {
        assert_eq!(request(Method::GET, path).await.status(), 404, "{path}");
    }
    assert_eq!(request(Method::POST, "/metrics").await.status(), 405);
    let public = Request::new(&client, Method::GET, format!("{}/metrics", program.base));
    public.send().await.assert_error(404, "route_not_found");

    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
}
