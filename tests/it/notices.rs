//! What users are told of their own account, by mail and within the apps.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{TestApp, app::PASSWORD, http::Answer, wait};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const NOTIFICATIONS: &str = "/api/v1/notifications";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn sign_in(app: &TestApp, device_token: Option<&Value>) -> Value {
    let mut body = json!({"email": ADA, "password": PASSWORD, "device_name": "Ada's phone"});
    if let Some(token) = device_token {
        body["device_token"] = token.clone();
    }
    let request = app.post("/api/v1/auth/login", body).header("user-agent", "Shop/1.4");
    request.send().await.data()
}

async fn get(app: &TestApp, path: &str, token: &str) -> Answer {
    app.get(&format!("{NOTIFICATIONS}{path}")).bearer(token).send().await
}

/// Waits until there are so many notifications, and returns them, newest first.
async fn notifications(app: &TestApp, token: &str, count: usize) -> Vec<Value> {
    wait(async || {
        let items = get(app, "", token).await.data()["items"].as_array().expect("a list").clone();
        (items.len() == count).then_some(items)
    })
    .await
}

#[tokio::test]
async fn a_sign_in_from_a_new_device_is_told() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let first = sign_in(&app, None).await;
    let token = text(&first["access_token"]);
    let patch = app.request(reqwest::Method::PATCH, "/api/v1/users/me").bearer(&token);
    patch.json(json!({"time_zone": "America/New_York"})).send().await.data();
    // The first sign-in of all tells nothing new, and so does a device that is known.
    sign_in(&app, Some(&first["device_token"])).await;
    sign_in(&app, Some(&json!("another token"))).await;
    let mail = app.notice_to(ADA).await;
    assert_eq!(mail.subject, "New sign-in to your account");
    for part in ["Ada's phone", "127.0.0.1", "(America/New_York)"] {
        assert!(mail.text.contains(part), "{part}: {}", mail.text);
    }
    let told = notifications(&app, &token, 1).await.remove(0);
    assert_eq!(told["kind"], "new_device");
    let details = &told["details"];
    assert_eq!(details["device_name"], "Ada's phone");
    assert_eq!(
        (&details["user_agent"], &details["ip_address"]),
        (&json!("Shop/1.4"), &json!("127.0.0.1"))
    );
    // The session can be ended by it.
    let id = text(&details["session_id"]);
    let end = app.request(reqwest::Method::DELETE, &format!("/api/v1/auth/sessions/{id}"));
    assert_eq!(end.bearer(&token).send().await.status, 204);
}

#[tokio::test]
async fn c03_a_refresh_token_that_was_used_again_is_told() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let tokens = sign_in(&app, None).await;
    let refresh = async || {
        let body = json!({"refresh_token": tokens["refresh_token"]});
        app.post("/api/v1/auth/refresh", body).send().await
    };
    refresh().await.data();
    app.clock.advance(TimeDelta::seconds(11));
    refresh().await.assert_error(401, "refresh_token_reused");
    let token = text(&sign_in(&app, Some(&tokens["device_token"])).await["access_token"]);
    let told = notifications(&app, &token, 1).await.remove(0);
    assert_eq!(told["kind"], "refresh_token_reused");
    assert_eq!(told["details"]["device_name"], "Ada's phone");
    let mail = app.notice_to(ADA).await;
    assert_eq!(mail.subject, "A session of your account was ended");
    assert!(mail.text.contains("Ada's phone"), "{}", mail.text);
}

#[tokio::test]
async fn c16_notifications_are_listed_counted_and_read_by_whom_they_are_for() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let token = text(&sign_in(&app, None).await["access_token"]);
    for n in 1..=3 {
        app.clock.advance(TimeDelta::seconds(1));
        sign_in(&app, None).await;
        notifications(&app, &token, n).await;
    }
    let bob = app.user_token(BOB).await;
    let unread = async |token: &str| get(&app, "/unread", token).await.data()["unread"].clone();
    assert_eq!((unread(&token).await, unread(&bob).await), (json!(3), json!(0)));

    let page = get(&app, "?limit=2", &token).await.data();
    assert_eq!(page["has_more"], true);
    let cursor = text(&page["next_cursor"]);
    let rest = get(&app, &format!("?limit=2&cursor={cursor}"), &token).await.data();
    let oldest = text(&rest["items"][0]["id"]);
    let read = |token: &str, id: &str| {
        let path = format!("{NOTIFICATIONS}/{id}/read");
        app.request(reqwest::Method::POST, &path).bearer(token).send()
    };
    let foreign = read(&bob, &oldest).await.assert_error(404, "not_found");
    let unknown = read(&bob, "01975b2e-7c40-7000-8000-000000000001").await;
    assert_eq!(foreign["message"], unknown.assert_error(404, "not_found")["message"]);
    assert_eq!(unread(&token).await, 3);

    assert_eq!(read(&token, &oldest).await.status, 204);
    let found = get(&app, "?is_read=true", &token).await.data()["items"].clone();
    assert_eq!(
        (found[0]["id"].as_str(), found.as_array().map(Vec::len)),
        (Some(&*oldest), Some(1))
    );
    app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(read(&token, &oldest).await.status, 204);
    let again = get(&app, "?is_read=true", &token).await.data()["items"].clone();
    assert_eq!(again[0]["read_at"], found[0]["read_at"], "the first time counts");

    let read_all = app.request(reqwest::Method::POST, &format!("{NOTIFICATIONS}/read"));
    assert_eq!(read_all.bearer(&token).send().await.status, 204);
    assert_eq!(unread(&token).await, 0);
    let left = get(&app, "?is_read=false", &token).await.data();
    assert_eq!(left["items"], json!([]));
}
