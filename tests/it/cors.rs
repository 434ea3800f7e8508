//! Which pages of other origins may use an API.

use reqwest::Method;
use serde_json::json;

use crate::support::{TestApp, http::Answer};

const APP: &str = "https://app.shop.test";
const STAFF: &str = "https://staff.shop.test";
const LOGIN: &str = "/api/v1/auth/login";
const STAFF_LOGIN: &str = "/api/v1/backoffice/auth/login";

async fn app_with_origins() -> TestApp {
    TestApp::builder()
        .setting("TWOFOLD_CORS__CLIENT_ORIGINS", &format!("{APP}, http://localhost:3000"))
        .setting("TWOFOLD_CORS__BACKOFFICE_ORIGINS", STAFF)
        .start()
        .await
}

async fn preflight(app: &TestApp, path: &str, origin: &str, method: &str) -> Answer {
    app.request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .await
}

/// No header of CORS but those of the names.
#[track_caller]
fn assert_only(answer: &Answer, expected: &[&str]) {
    let names = answer.headers.keys().filter_map(|n| n.as_str().strip_prefix("access-control-"));
    let mut found: Vec<&str> = names.collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{answer:?}");
}

#[tokio::test]
async fn listed_origins_are_permitted_what_the_route_has() {
    let app = app_with_origins().await;
    for (path, origin, methods) in [
        (LOGIN, APP, "OPTIONS, POST"),
        ("/api/v1/users/me", "http://localhost:3000", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        (STAFF_LOGIN, STAFF, "OPTIONS, POST"),
    ] {
        let answer = preflight(&app, path, origin, "POST").await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert_only(&answer, &["allow-headers", "allow-methods", "allow-origin", "max-age"]);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert_eq!(answer.header("access-control-allow-methods"), methods);
        let headers = answer.header("access-control-allow-headers");
        for name in ["Authorization", "Content-Type", "Idempotency-Key", "If-Match"] {
            assert!(headers.split(", ").any(|one| one == name), "{name}: {headers}");
        }
        let age: u32 = answer.header("access-control-max-age").parse().expect("seconds");
        assert!((600..=7200).contains(&age));
        assert_eq!(answer.header("vary"), "Origin");
    }
}

#[tokio::test]
async fn answers_and_failures_can_be_read_by_listed_origins() {
    let app = app_with_origins().await;
    let faults = app.post(LOGIN, json!({})).header("origin", APP).send().await;
    assert_eq!(faults.faults().len(), 2);
    let unknown = app.get("/api/v1/nope").header("origin", APP).send().await;
    unknown.assert_error(404, "route_not_found");
    let large = app.post(LOGIN, json!("a".repeat(2 << 20))).header("origin", APP).send().await;
    large.assert_error(413, "payload_too_large");
    let release = app.get("/api/v1/config/release").header("origin", APP).send().await;
    for answer in [faults, unknown, large, release] {
        assert_only(&answer, &["allow-origin", "expose-headers"]);
        assert_eq!(answer.header("access-control-allow-origin"), APP);
        let exposed = answer.header("access-control-expose-headers");
        for name in ["ETag", "Retry-After", "X-Request-Id"] {
            assert!(exposed.split(", ").any(|one| one == name), "{name}: {exposed}");
        }
        assert!(answer.header("vary").contains("Origin"));
    }
}

#[tokio::test]
async fn other_origins_get_their_answers_without_the_headers() {
    let app = app_with_origins().await;
    let own = app.base.clone();
    let huge = format!("https://{}.test", "a".repeat(10_000));
    for origin in ["https://evil.test", STAFF, &own, "null", "", "*", "not an origin", &huge] {
        let answer = app.post(LOGIN, json!({})).header("origin", origin).send().await;
        assert_eq!(answer.faults().len(), 2);
        assert_only(&answer, &[]);
        assert_eq!(answer.header("vary"), "Origin");
        let answer = preflight(&app, LOGIN, origin, "POST").await;
        assert_eq!((answer.status, answer.header("allow")), (204, "OPTIONS, POST"));
        assert_only(&answer, &[]);
    }
    // What is no text.
    let request = reqwest::Client::new().get(format!("{own}/api/v1/config/release"));
    let answer = request.header("origin", &b"\xff\xfe"[..]).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    // Neither list is the other API's.
    assert_only(&preflight(&app, STAFF_LOGIN, APP, "POST").await, &[]);
    assert_only(&preflight(&app, "/api/v1/backoffice", APP, "GET").await, &[]);
    // Pages and probes have no CORS.
    for path in ["/health/live", "/client/openapi.json", "/", "/api/v1x"] {
        let answer = app.get(path).header("origin", APP).send().await;
        assert_only(&answer, &[]);
        assert!(!answer.header("vary").contains("Origin"), "{path}");
    }
}

#[tokio::test]
async fn without_a_list_no_origin_is_let_in() {
    let app = TestApp::builder().setting("TWOFOLD_CORS__BACKOFFICE_ORIGINS", STAFF).start().await;
    for origin in [APP, STAFF, "null"] {
        let answer = preflight(&app, LOGIN, origin, "POST").await;
        assert_only(&answer, &[]);
        assert_eq!(answer.header("vary"), "");
    }
    assert_eq!(preflight(&app, STAFF_LOGIN, STAFF, "POST").await.header("vary"), "Origin");
}

#[tokio::test]
async fn a_star_lets_in_all_without_credentials() {
    let app = TestApp::builder().setting("TWOFOLD_CORS__CLIENT_ORIGINS", "*").start().await;
    for origin in [APP, "null", "https://evil.test"] {
        let answer = preflight(&app, LOGIN, origin, "POST").await;
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_only(&answer, &["allow-headers", "allow-methods", "allow-origin", "max-age"]);
    }
}
