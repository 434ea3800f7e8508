//! One's own sessions: listed, ended one by one, and by a logout with a scope.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{TestApp, app::PASSWORD, http::Answer};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn sign_in(app: &TestApp, email: &str, device: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD, "device_name": device});
    let request = app.post("/api/v1/auth/login", body).header("user-agent", "Shop/1.4");
    text(&request.send().await.data()["access_token"])
}

async fn list(app: &TestApp, token: &str) -> Vec<Value> {
    let answer = app.get("/api/v1/auth/sessions").bearer(token).send().await;
    answer.data()["items"].as_array().expect("a list").clone()
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.get("/api/v1/users/me").bearer(token).send().await
}

#[tokio::test]
async fn a_session_shows_from_where_and_when_it_is_used() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let first = sign_in(&app, ADA, "Ada's phone").await;
    app.clock.advance(TimeDelta::minutes(1));
    let body = json!({"email": ADA, "password": PASSWORD});
    let tokens = app.post("/api/v1/auth/login", body).send().await.data();
    let sessions = list(&app, &first).await;
    assert_eq!(sessions.len(), 2);
    assert_eq!(
        (&sessions[0]["is_current"], &sessions[1]["is_current"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(sessions[1]["device_name"], "Ada's phone");
    assert_eq!(sessions[1]["user_agent"], "Shop/1.4");
    assert_eq!(sessions[1]["ip_address"], "127.0.0.1");
    assert!(sessions[0].get("device_name").is_none());

    app.clock.advance(TimeDelta::minutes(10));
    let body = json!({"refresh_token": tokens["refresh_token"]});
    let refresh = app.post("/api/v1/auth/refresh", body).header("user-agent", "Shop/1.5");
    refresh.send().await.data();
    let used = &list(&app, &first).await[0];
    assert_eq!(
        (&used["user_agent"], &used["created_at"]),
        (&json!("Shop/1.5"), &sessions[0]["created_at"])
    );
    assert!(text(&used["last_used_at"]) > text(&sessions[0]["last_used_at"]));
}

#[tokio::test]
async fn what_has_ended_is_not_listed_and_pages_go_on() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    for _ in 0..3 {
        app.clock.advance(TimeDelta::seconds(1));
        sign_in(&app, ADA, "x").await;
    }
    app.clock.advance(TimeDelta::days(7));
    assert_eq!(list(&app, &sign_in(&app, ADA, "y").await).await.len(), 1, "idle for too long");
    let token = sign_in(&app, ADA, "z").await;
    let page = app.get("/api/v1/auth/sessions?limit=1").bearer(&token).send().await.data();
    let cursor = text(&page["next_cursor"]);
    let path = format!("/api/v1/auth/sessions?limit=1&cursor={cursor}");
    let rest = app.get(&path).bearer(&token).send().await.data();
    assert_ne!(rest["items"][0]["id"], page["items"][0]["id"]);
    assert_eq!(rest["has_more"], false);
    // Another user's cursor is none.
    app.verified_user(BOB).await;
    let bob = sign_in(&app, BOB, "b").await;
    app.get(&path).bearer(&bob).send().await.faults();
}

#[tokio::test]
async fn c16_one_ends_ones_own_sessions_and_finds_no_others() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    app.verified_user(BOB).await;
    let (phone, laptop) = (sign_in(&app, ADA, "phone").await, sign_in(&app, ADA, "laptop").await);
    let bob = sign_in(&app, BOB, "bob's").await;
    let end = |token: &str, id: &str| {
        let path = format!("/api/v1/auth/sessions/{id}");
        app.request(reqwest::Method::DELETE, &path).bearer(token).send()
    };
    let sessions = list(&app, &phone).await;
    let other = sessions.iter().find(|one| one["is_current"] == false).expect("the laptop's");
    let id = text(&other["id"]);
    let foreign = end(&bob, &id).await.assert_error(404, "not_found");
    let unknown = end(&bob, "01975b2e-7c40-7000-8000-000000000001").await;
    assert_eq!(foreign["message"], unknown.assert_error(404, "not_found")["message"]);
    me(&app, &laptop).await.data();

    assert_eq!(end(&phone, &id).await.status, 204);
    me(&app, &laptop).await.assert_error(401, "session_ended");
    end(&phone, &id).await.assert_error(404, "not_found");
    me(&app, &phone).await.data();
}

#[tokio::test]
async fn c04_a_logout_ends_what_its_scope_says() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let log_out =
        |token: &str, body: Value| app.post("/api/v1/auth/logout", body).bearer(token).send();
    for (scope, own_lives, other_lives) in
        [("local", false, true), ("others", true, false), ("global", false, false)]
    {
        let (own, other) = (sign_in(&app, ADA, "own").await, sign_in(&app, ADA, "other").await);
        assert_eq!(log_out(&own, json!({"scope": scope})).await.status, 204);
        for (token, lives) in [(&own, own_lives), (&other, other_lives)] {
            assert_eq!(me(&app, token).await.status, if lives { 200 } else { 401 }, "{scope}");
        }
    }
    let token = sign_in(&app, ADA, "own").await;
    let faults = log_out(&token, json!({"scope": "all"})).await.faults();
    assert_eq!(faults, [("scope".to_owned(), "enum".to_owned())]);
    me(&app, &token).await.data();
    let without = app.request(reqwest::Method::POST, "/api/v1/auth/logout").bearer(&token);
    assert_eq!(without.send().await.status, 204);
    me(&app, &token).await.assert_error(401, "session_ended");
}
