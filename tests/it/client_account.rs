//! One's own account.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::{TestApp, app::PASSWORD, http::Answer};

const ADA: &str = "ada@example.com";
const ME: &str = "/api/v1/users/me";

#[tokio::test]
async fn an_absent_field_is_left_alone_and_null_clears() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let patch = async |body| app.request(Method::PATCH, ME).bearer(&token).json(body).send().await;

    let before = app.get(ME).bearer(&token).send().await.data();
    assert_eq!(patch(json!({})).await.data()["name"], "Ada");
    let changed = patch(json!({"name": "Countess"})).await.data();
    assert_eq!(changed["name"], "Countess");
    assert!(changed["updated_at"].as_str() > before["updated_at"].as_str());
    let cleared = patch(json!({"name": null})).await.data();
    assert!(cleared.get("name").is_none(), "{cleared}");
    assert_eq!(app.get(ME).bearer(&token).send().await.data(), cleared);
}

#[tokio::test]
async fn c13_nothing_but_the_profile_can_be_changed() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let body =
        json!({"name": "", "email": "eve@example.com", "email_verified": true, "status": "x"});
    let answer = app.request(Method::PATCH, ME).bearer(&token).json(body).send().await;
    let faults = answer.faults();
    let expected = [
        ("name", "too_short"),
        ("email", "unknown"),
        ("email_verified", "unknown"),
        ("status", "unknown"),
    ];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
    let user = app.get(ME).bearer(&token).send().await.data();
    assert_eq!((&user["name"], &user["email"]), (&json!("Ada"), &json!(ADA)));
}

#[tokio::test]
async fn c14_a_missing_token_is_told_before_a_bad_body() {
    let app = TestApp::start().await;
    let answer = app.request(Method::PATCH, ME).body("{").send().await;
    answer.assert_error(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn language_and_time_zone_are_known_ones() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let patch = async |body| app.request(Method::PATCH, ME).bearer(&token).json(body).send().await;
    let user = patch(json!({"locale": "de-AT", "time_zone": "Europe/Vienna"})).await.data();
    assert_eq!((&user["locale"], &user["time_zone"]), (&json!("de-AT"), &json!("Europe/Vienna")));
    for (field, wrong, rule) in [
        ("locale", "German", "pattern"),
        ("locale", "de_AT", "pattern"),
        ("time_zone", "Europe/Atlantis", "time_zone"),
        ("time_zone", "../etc/passwd", "pattern"),
    ] {
        let faults = patch(json!({field: wrong})).await.faults();
        assert_eq!(faults, [(field.to_owned(), rule.to_owned())], "{wrong}");
    }
    let cleared = patch(json!({"time_zone": null})).await.data();
    assert!(cleared.get("time_zone").is_none() && cleared["locale"] == "de-AT", "{cleared}");
}

#[tokio::test]
async fn who_registers_can_say_in_which_language_to_write() {
    let mut app = TestApp::start().await;
    let body = json!({"email": ADA, "password": PASSWORD, "locale": "fr"});
    app.post("/api/v1/auth/register", body).send().await.assert_done();
    let code = app.code_for(ADA).await;
    let body = json!({"email": ADA, "password": PASSWORD, "code": code});
    app.post("/api/v1/auth/verify-email", body).send().await.assert_done();
    app.welcomed(ADA).await;
    let token = app.login(ADA).await["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(app.get(ME).bearer(&token).send().await.data()["locale"], "fr");
}

async fn change_password(app: &TestApp, token: &str, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    app.post("/api/v1/users/me/change-password", body).bearer(token).send().await
}

#[tokio::test]
async fn c04_a_changed_password_ends_the_other_sessions_and_is_told() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let other = app.login(ADA).await;
    let forgot = app.post("/api/v1/auth/forgot-password", json!({"email": ADA}));
    forgot.send().await.assert_done();
    let reset_token = app.reset_token_for(ADA).await;

    let new = "staple battery horse";
    change_password(&app, &token, "wrong", new).await.assert_error(401, "invalid_credentials");
    let faults = change_password(&app, &token, PASSWORD, "ada@example.com").await.faults();
    assert_eq!(faults, [("new_password".to_owned(), "guessable".to_owned())]);
    let me = async |token: &str| app.get(ME).bearer(token).send().await;
    let other_token = other["access_token"].as_str().expect("a token");
    me(other_token).await.data();

    change_password(&app, &token, PASSWORD, new).await.assert_done();
    me(&token).await.data();
    me(other_token).await.assert_error(401, "session_ended");
    let body = json!({"refresh_token": other["refresh_token"]});
    let refresh = app.post("/api/v1/auth/refresh", body).send().await;
    refresh.assert_error(401, "session_ended");
    let login = |password: &str| {
        app.post("/api/v1/auth/login", json!({"email": ADA, "password": password})).send()
    };
    login(PASSWORD).await.assert_error(401, "invalid_credentials");
    login(new).await.data();
    // A reset that was under way is of no use any more.
    let body = json!({"token": reset_token, "new_password": PASSWORD});
    let reset = app.post("/api/v1/auth/reset-password", body).send().await;
    reset.assert_error(422, "invalid_reset_token");
    assert_eq!(app.notice_to(ADA).await.subject, "New sign-in to your account");
    assert_eq!(app.notice_to(ADA).await.subject, "Your password was changed");
}

#[tokio::test]
async fn of_parallel_changes_of_a_password_one_succeeds() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let new = |n: usize| format!("staple battery horse {n}");
    let changes: Vec<_> = (0..8).map(new).collect();
    let all = changes.iter().map(|new| change_password(&app, &token, PASSWORD, new));
    let answers = join_all(all).await;
    let changed = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| [401, 503].contains(&answer.status)).count();
    assert_eq!((changed, refused), (1, 7));
}
