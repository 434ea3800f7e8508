//! How staff come to another password, lose a factor, and see and end sessions.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    TestApp,
    app::{ADMIN, PASSWORD},
    http::Answer,
};

const API: &str = "/api/v1/backoffice";
const ADA: &str = "ada@example.com";
const NEW: &str = "staple battery horse";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn login(app: &TestApp, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    app.post(&format!("{API}/auth/login"), body).send().await
}

async fn forgot(app: &TestApp, email: &str) -> Answer {
    app.post(&format!("{API}/auth/forgot-password"), json!({"email": email})).send().await
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "new_password": password});
    app.post(&format!("{API}/auth/reset-password"), body).send().await
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.get(&format!("{API}/auth/me")).bearer(token).send().await
}

async fn call(app: &TestApp, token: &str, method: Method, path: &str) -> Answer {
    app.request(method, &format!("{API}{path}")).bearer(token).send().await
}

async fn id_of(app: &TestApp, token: &str, email: &str) -> String {
    let found = call(app, token, Method::GET, &format!("/admins?q={email}")).await.data();
    text(&found["items"][0]["id"])
}

#[tokio::test(flavor = "multi_thread")]
async fn c05_a_reset_works_once_for_staff_and_ends_their_sessions() {
    let mut app = TestApp::start().await;
    let grace = app.admin_token().await;
    // Nobody learns who is staff (condition 9).
    let (known, unknown) = (forgot(&app, ADMIN).await, forgot(&app, "nobody@example.com").await);
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    let older = app.reset_token_for(ADMIN).await;
    forgot(&app, ADMIN).await.assert_done();
    let token = app.reset_token_for(ADMIN).await;
    reset(&app, &older, NEW).await.assert_error(422, "invalid_reset_token");
    let weak = reset(&app, &token, "password1234").await.faults();
    assert_eq!(weak, [("new_password".to_owned(), "common".to_owned())]);
    me(&app, &grace).await.data();
    let all = join_all((0..20).map(|_| reset(&app, &token, NEW))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
    me(&app, &grace).await.assert_error(401, "session_ended");
    login(&app, ADMIN, PASSWORD).await.assert_error(401, "invalid_credentials");
    login(&app, ADMIN, NEW).await.data();
    forgot(&app, ADMIN).await.assert_done();
    let late = app.reset_token_for(ADMIN).await;
    app.clock.advance(chrono::TimeDelta::minutes(30));
    reset(&app, &late, PASSWORD).await.assert_error(422, "invalid_reset_token");
}

#[tokio::test]
async fn c17_staff_reset_passwords_and_factors_of_others_who_may_not_do_more() {
    let mut app = TestApp::start().await;
    let grace = app.admin_token().await;
    let ada = app.staff_token(ADA, &["support"]).await;
    let id = id_of(&app, &grace, ADA).await;
    let force = format!("/admins/{id}/reset-password");
    call(&app, &grace, Method::POST, &force).await.assert_done();
    me(&app, &ada).await.assert_error(401, "session_ended");
    login(&app, ADA, PASSWORD).await.assert_error(401, "invalid_credentials");
    let token = app.reset_token_for(ADA).await;
    reset(&app, &token, NEW).await.assert_done();
    assert_eq!(app.notice_to(ADA).await.subject, "Your password was changed");
    let ada = text(&login(&app, ADA, NEW).await.data()["access_token"]);

    let factor = format!("/admins/{id}/mfa");
    let none = call(&app, &grace, Method::DELETE, &factor).await;
    none.assert_error(409, "second_factor_not_enabled");
    let begin = call(&app, &ada, Method::POST, "/auth/mfa/totp").await.data();
    let secret = totp_rs::Secret::try_from_base32(text(&begin["secret"])).expect("base 32");
    let authenticator = totp_rs::Builder::new().with_secret(secret).build().expect("a factor");
    let now = app.clock.now().timestamp().try_into().expect("after 1970");
    let body = json!({"code": authenticator.generate(now).to_string()});
    let confirm = app.post(&format!("{API}/auth/mfa/totp/confirm"), body).bearer(&ada);
    confirm.send().await.data();
    assert_eq!(login(&app, ADA, NEW).await.status, 202);
    assert_eq!(call(&app, &grace, Method::DELETE, &factor).await.status, 204);
    me(&app, &ada).await.assert_error(401, "session_ended");
    assert_eq!(app.notice_to(ADA).await.subject, "Your second factor was set up");
    assert_eq!(app.notice_to(ADA).await.subject, "Your second factor was removed");
    login(&app, ADA, NEW).await.data();

    // Neither of oneself, nor of who may do more.
    let own = id_of(&app, &grace, ADMIN).await;
    let roles = json!({"name": "guards", "description": "", "permissions": ["admins:read", "admins:security"]});
    app.post(&format!("{API}/roles"), roles).bearer(&grace).send().await.data();
    let guard = app.staff_token("bob@example.com", &["guards"]).await;
    for (method, path) in [
        (Method::POST, format!("/admins/{own}/reset-password")),
        (Method::DELETE, format!("/admins/{own}/mfa")),
        (Method::DELETE, format!("/admins/{own}/sessions")),
    ] {
        let oneself = call(&app, &grace, method.clone(), &path).await;
        oneself.assert_error(403, "own_account");
        call(&app, &guard, method, &path).await.assert_error(403, "permission_denied");
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_it_is_seen_who_is_online() {
    let app = TestApp::start().await;
    let grace = app.admin_token().await;
    let ada = app.staff_token(ADA, &["support"]).await;
    app.add_staff("bob@example.com", &["support"]).await;
    let online = async |is: bool| {
        let path = format!("/admins?sort=email&online={is}");
        let found = call(&app, &grace, Method::GET, &path).await.data();
        let items = found["items"].as_array().expect("a list").iter();
        items.map(|one| text(&one["email"])).collect::<Vec<_>>()
    };
    assert_eq!(online(true).await, [ADA, ADMIN]);
    assert_eq!(online(false).await, ["bob@example.com"]);

    let second = text(&app.staff_login(ADA).await["access_token"]);
    let own = call(&app, &second, Method::GET, "/auth/sessions").await.data();
    let items = own["items"].as_array().expect("a list");
    let current: Vec<bool> = items.iter().map(|one| one["is_current"] == true).collect();
    assert_eq!(current, [true, false]);
    let first = format!("/auth/sessions/{}", text(&items[1]["id"]));
    // Somebody else's is not there.
    call(&app, &grace, Method::DELETE, &first).await.assert_error(404, "not_found");
    assert_eq!(call(&app, &second, Method::DELETE, &first).await.status, 204);
    me(&app, &ada).await.assert_error(401, "session_ended");
    me(&app, &second).await.data();

    let id = id_of(&app, &grace, ADA).await;
    let path = format!("/admins/{id}/sessions");
    let listed = call(&app, &grace, Method::GET, &path).await.data();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    call(&app, &second, Method::DELETE, &path).await.assert_error(403, "permission_denied");
    assert_eq!(call(&app, &grace, Method::DELETE, &path).await.status, 204);
    me(&app, &second).await.assert_error(401, "session_ended");
    assert_eq!(online(true).await, [ADMIN]);
}
