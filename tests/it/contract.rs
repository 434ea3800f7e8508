//! The envelope on every failure, whoever raises it.

use poem::{Route, endpoint::make_sync, handler};
use reqwest::Method;
use serde_json::json;

use crate::support::TestApp;

const LOGIN: &str = "/api/v1/auth/login";

#[tokio::test]
async fn unknown_routes_and_methods() {
    let app = TestApp::start().await;
    for path in [
        "/nope",
        "/api/v1/nope",
        "/api/v1/backoffice/nope",
        "/api/v2/users/me",
        "/%00",
        "/api/v1/backoffice/users/%FF",
    ] {
        app.get(path).send().await.assert_error(404, "route_not_found");
    }
    for (method, path, allow) in [
        (Method::PUT, "/api/v1/users/me", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        (Method::GET, LOGIN, "OPTIONS, POST"),
        (Method::PUT, "/api/v1/backoffice/users", "GET, HEAD, OPTIONS, POST"),
        (Method::GET, "/api/v1/backoffice/users/x/suspend", "OPTIONS, POST"),
        (Method::POST, "/health/live", "GET, HEAD, OPTIONS"),
        (Method::POST, "/client/docs", "GET, HEAD, OPTIONS"),
    ] {
        let answer = app.request(method.clone(), path).send().await;
        answer.assert_error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    for method in ["TRACE", "PROPFIND", "get"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = app.request(method, LOGIN).send().await;
        answer.assert_error(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn every_bad_field_in_one_answer() {
    let app = TestApp::start().await;
    let body = json!({"email": "nope", "password": 1, "name": "", "admin": true});
    let faults = app.post("/api/v1/auth/register", body).send().await.faults();
    let expected =
        [("email", "email"), ("password", "type"), ("name", "too_short"), ("admin", "unknown")];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));

    let faults = app.post("/api/v1/auth/register", json!({"email": null})).send().await.faults();
    let expected = [("email", "required"), ("password", "required")];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));

    // The document says text, so a number or a boolean is none.
    for name in [json!(false), json!(5), json!([]), json!({})] {
        let body =
            json!({"email": "a@example.com", "password": "correct horse battery", "name": name});
        let faults = app.post("/api/v1/auth/register", body).send().await.faults();
        assert_eq!(faults, [("name".to_owned(), "type".to_owned())], "{name}");
    }

    let faults = app.post("/api/v1/auth/register", json!([])).send().await.faults();
    assert_eq!(faults, [(String::new(), "type".to_owned())]);

    let body = json!({"email": "ada@example.com", "password": "correct horse\u{0}battery"});
    let faults = app.post("/api/v1/auth/register", body).send().await.faults();
    assert_eq!(faults, [("password".to_owned(), "invalid_character".to_owned())]);

    // A field that may be left out may be null.
    let body = json!({"email": "nope", "password": "correct horse battery", "name": null});
    let faults = app.post("/api/v1/auth/register", body).send().await.faults();
    assert_eq!(faults, [("email".to_owned(), "email".to_owned())]);
}

#[tokio::test]
async fn request_ids_are_kept_if_they_are_sane() {
    let app = TestApp::start().await;
    let sent = app.get("/nope").header("x-request-id", "trace-1.a_B").send().await;
    assert_eq!(sent.assert_error(404, "route_not_found")["request_id"], "trace-1.a_B");
    let long = "x".repeat(65);
    for bad in ["", "two words", "a\"b", &long] {
        let answer = app.get("/health/live").header("x-request-id", bad).send().await;
        let id = answer.header("x-request-id");
        assert!(id != bad && id.parse::<uuid::Uuid>().is_ok(), "{bad:?} gave {id:?}");
    }
}

#[handler]
async fn never_answers() {
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn panics_timeouts_and_foreign_errors() {
    let routes = Route::new()
        .at("/panic", make_sync(|_| -> &str { panic!("a secret text") }))
        .at("/slow", poem::get(never_answers))
        .at(
            "/io",
            make_sync(|_| {
                Err::<(), _>(poem::Error::from_string(
                    "a secret text",
                    poem::http::StatusCode::BAD_GATEWAY,
                ))
            }),
        );
    let app = TestApp::builder().routes(routes).request_timeout(300).start().await;
    for path in ["/panic", "/io"] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.assert_error(500, "internal_error")["code"], 500);
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
    let slow = app.get("/slow").send().await;
    assert_eq!(slow.assert_error(503, "request_timeout")["code"], 503);
    assert_eq!(slow.header("retry-after"), "1");
    // The process goes on.
    app.get("/health/live").send().await.data();
}

#[tokio::test]
async fn answers_are_not_kept_by_caches() {
    let mut app = TestApp::start().await;
    app.verified_user("ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": crate::support::app::PASSWORD});
    let login = app.post(LOGIN, body).send().await;
    assert_eq!(login.header("cache-control"), "no-store");
    assert_eq!(login.header("content-type"), "application/json; charset=utf-8");
}
