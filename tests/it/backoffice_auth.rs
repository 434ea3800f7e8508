//! Sign-in of the staff.

use chrono::TimeDelta;
use serde_json::{Value, json};
use twofold::{
    db::Origin,
    services::{permissions::Permission, staff},
};

use crate::support::{
    TestApp,
    app::{ADMIN, PASSWORD},
    http::Answer,
};

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.get("/api/v1/backoffice/auth/me").bearer(token).send().await
}

async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.post("/api/v1/backoffice/auth/refresh", json!({"refresh_token": token})).send().await
}

#[tokio::test]
async fn from_login_to_logout() {
    let app = TestApp::start().await;
    app.add_admin().await;
    let tokens = app.admin_login().await;
    assert_eq!(
        (&tokens["expires_in"], &tokens["refresh_expires_in"]),
        (&json!(1800), &json!(3600))
    );
    let admin = me(&app, &text(&tokens["access_token"])).await.data();
    assert_eq!((&admin["email"], &admin["is_super_admin"]), (&json!(ADMIN), &json!(true)));
    assert!(admin["last_login_at"].is_string());
    assert_eq!(admin["roles"][0]["name"], "super-admin");
    let all: Vec<&str> = Permission::ALL.iter().map(|permission| permission.text()).collect();
    assert_eq!(admin["permissions"], json!(all));

    let renewed = refresh(&app, &text(&tokens["refresh_token"])).await.data();
    let access = text(&renewed["access_token"]);
    let logout = app.post("/api/v1/backoffice/auth/logout", json!({})).bearer(&access).send().await;
    assert_eq!((logout.status, logout.text.as_str()), (204, ""));
    me(&app, &access).await.assert_error(401, "session_ended");
    refresh(&app, &text(&renewed["refresh_token"])).await.assert_error(401, "session_ended");
}

#[tokio::test]
async fn c01_a_user_is_no_admin() {
    let mut app = TestApp::start().await;
    app.verified_user("ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let answer = app.post("/api/v1/backoffice/auth/login", body).send().await;
    answer.assert_error(401, "invalid_credentials");
}

#[tokio::test]
async fn c03_sessions_end_after_an_idle_hour_and_a_day() {
    let app = TestApp::start().await;
    app.add_admin().await;
    let idle = text(&app.admin_login().await["refresh_token"]);
    app.clock.advance(TimeDelta::hours(1));
    refresh(&app, &idle).await.assert_error(401, "session_ended");

    let mut tokens = app.admin_login().await;
    for _ in 0..28 {
        app.clock.advance(TimeDelta::minutes(50));
        tokens = refresh(&app, &text(&tokens["refresh_token"])).await.data();
    }
    // 23 h 20 min old: the last tokens end with the session.
    let left = tokens["refresh_expires_in"].as_i64().expect("seconds");
    assert!((40 * 60 - 30..=40 * 60).contains(&left), "{left}");
    app.clock.advance(TimeDelta::minutes(40));
    refresh(&app, &text(&tokens["refresh_token"])).await.assert_error(401, "session_ended");
}

#[tokio::test]
async fn c04_a_changed_password_ends_the_other_sessions() {
    let app = TestApp::start().await;
    let (own, other) = (app.admin_token().await, text(&app.admin_login().await["access_token"]));
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        app.post("/api/v1/backoffice/auth/change-password", body).bearer(&own).send().await
    };
    change("not the password", "a brand new password")
        .await
        .assert_error(401, "invalid_credentials");
    let weak = change(PASSWORD, "grace@example").await.faults();
    assert_eq!(weak, [("new_password".to_owned(), "guessable".to_owned())]);
    change(PASSWORD, "a brand new password").await.assert_done();

    me(&app, &own).await.data();
    me(&app, &other).await.assert_error(401, "session_ended");
    let old = json!({"email": ADMIN, "password": PASSWORD});
    let old = app.post("/api/v1/backoffice/auth/login", old).send().await;
    old.assert_error(401, "invalid_credentials");
    let new = json!({"email": ADMIN, "password": "a brand new password"});
    app.post("/api/v1/backoffice/auth/login", new).send().await.data();
}

#[tokio::test]
async fn of_many_starts_one_makes_the_first_admin() {
    let app = TestApp::start().await;
    let origin = Origin::system("test");
    let made = futures_util::future::join_all(
        (0..5).map(|_| async { staff::create_first(&app.core, &origin).await.expect("asked") }),
    )
    .await;
    assert_eq!(made.iter().flatten().count(), 1);
}
