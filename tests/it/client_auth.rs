//! Registration, sign-in, refresh, logout and recovery of users.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{TestApp, app::PASSWORD, http::Answer, rounds};

const ADA: &str = "ada@example.com";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.get("/api/v1/users/me").bearer(token).send().await
}

async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.post("/api/v1/auth/refresh", json!({"refresh_token": token})).send().await
}

#[tokio::test]
async fn the_whole_walk_from_registration_to_logout() {
    let mut app = TestApp::start().await;
    let body = json!({"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada"});
    app.post("/api/v1/auth/register", body).send().await.assert_done();

    let credentials = json!({"email": ADA, "password": PASSWORD});
    let early = app.post("/api/v1/auth/login", credentials.clone()).send().await;
    // The same as for a wrong password: otherwise registering an address, and then trying to
    // sign in, would tell whether it has a verified account.
    assert_eq!(early.assert_error(401, "invalid_credentials")["code"], 1101);

    let code = app.code_for(ADA).await;
    let body = json!({"email": ADA, "password": PASSWORD, "code": code});
    app.post("/api/v1/auth/verify-email", body).send().await.assert_done();
    app.welcomed(ADA).await;

    let tokens = app.post("/api/v1/auth/login", credentials).send().await.data();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(1800)));
    let access = text(&tokens["access_token"]);
    let user = me(&app, &access).await.data();
    assert_eq!((&user["email"], &user["name"]), (&json!(ADA), &json!("Ada")));
    assert_eq!(user["email_verified"], true);

    let renewed = refresh(&app, &text(&tokens["refresh_token"])).await.data();
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    let access = text(&renewed["access_token"]);
    me(&app, &access).await.data();

    let logout = app.post("/api/v1/auth/logout", json!({})).bearer(&access).send().await;
    assert_eq!((logout.status, logout.text.as_str()), (204, ""));
    me(&app, &access).await.assert_error(401, "session_ended");
    refresh(&app, &text(&renewed["refresh_token"])).await.assert_error(401, "session_ended");
}

#[tokio::test]
async fn c09_a_known_address_gets_the_same_answer_and_its_owner_a_mail() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let register = |email| {
        let body = json!({"email": email, "password": "another good password"});
        app.post("/api/v1/auth/register", body).send()
    };
    let (known, unknown) = (register(ADA).await, register("new@example.com").await);
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    assert_eq!(app.mail_to(ADA).await.subject, "You already have an account");
    app.code_for("new@example.com").await;
    app.login(ADA).await;
}

#[tokio::test]
async fn c09_wrong_password_and_unknown_address_look_the_same() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let login = |email: &str, password: &str| {
        app.post("/api/v1/auth/login", json!({"email": email, "password": password})).send()
    };
    let wrong = login(ADA, "not the password").await;
    let unknown = login("nobody@example.com", "not the password").await;
    for answer in [&wrong, &unknown] {
        assert_eq!(answer.assert_error(401, "invalid_credentials")["code"], 1101);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(wrong.json()["message"], unknown.json()["message"]);
}

#[tokio::test]
async fn c05_a_code_verifies_only_the_registration_that_it_was_mailed_for() {
    const SQUATTED: &str = "the squatter's phrase";
    let mut app = TestApp::start().await;
    let register = async |app: &mut TestApp, password: &str| {
        let body = json!({"email": ADA, "password": password});
        app.post("/api/v1/auth/register", body).send().await.assert_done();
        app.code_for(ADA).await
    };
    let verify = async |app: &TestApp, password: &str, code: &str| {
        let body = json!({"email": ADA, "password": password, "code": code});
        app.post("/api/v1/auth/verify-email", body).send().await
    };
    let log_in = async |app: &TestApp, password: &str| {
        app.post("/api/v1/auth/login", json!({"email": ADA, "password": password})).send().await
    };

    // Before its owner, and after.
    register(&mut app, SQUATTED).await;
    register(&mut app, PASSWORD).await;
    let newest = register(&mut app, SQUATTED).await;
    verify(&app, PASSWORD, &newest).await.assert_error(422, "invalid_code");
    log_in(&app, SQUATTED).await.assert_error(401, "invalid_credentials");

    let (older, newest) = (newest, register(&mut app, PASSWORD).await);
    if older != newest {
        verify(&app, PASSWORD, &older).await.assert_error(422, "invalid_code");
    }
    verify(&app, SQUATTED, &newest).await.assert_error(422, "invalid_code");
    verify(&app, PASSWORD, &newest).await.assert_done();
    app.welcomed(ADA).await;
    app.login(ADA).await;
    log_in(&app, SQUATTED).await.assert_error(401, "invalid_credentials");
}

#[tokio::test]
async fn c05_a_code_works_once_for_ten_minutes_and_five_tries() {
    let mut app = TestApp::start().await;
    let body = json!({"email": ADA, "password": PASSWORD});
    app.post("/api/v1/auth/register", body).send().await.assert_done();
    let verify = |app: &TestApp, code: &str| {
        let body = json!({"email": ADA, "password": PASSWORD, "code": code});
        app.post("/api/v1/auth/verify-email", body).send()
    };
    let resend = |app: &TestApp, email: &str| {
        app.post("/api/v1/auth/resend-code", json!({"email": email})).send()
    };

    // Too old.
    let code = app.code_for(ADA).await;
    app.clock.advance(TimeDelta::minutes(10));
    assert_eq!(verify(&app, &code).await.assert_error(422, "invalid_code")["code"], 1104);

    // Tried too often.
    let known = resend(&app, ADA).await;
    let unknown = resend(&app, "nobody@example.com").await;
    assert_eq!(known.text, unknown.text);
    let code = app.code_for(ADA).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        verify(&app, wrong).await.assert_error(422, "invalid_code");
    }
    verify(&app, &code).await.assert_error(422, "invalid_code");

    // Used up by one of many.
    resend(&app, ADA).await.assert_done();
    let code = app.code_for(ADA).await;
    let all = join_all((0..20).map(|_| verify(&app, &code))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
    verify(&app, &code).await.assert_error(422, "invalid_code");
    app.welcomed(ADA).await;

    // Nothing is left to verify.
    resend(&app, ADA).await.assert_done();
}

#[tokio::test]
async fn c03_tokens_end_by_the_clock() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let tokens = app.login(ADA).await;
    let (access, first) = (text(&tokens["access_token"]), text(&tokens["refresh_token"]));
    app.clock.advance(TimeDelta::seconds(1800));
    let expired = me(&app, &access).await;
    expired.assert_error(401, "token_expired");
    assert_eq!(expired.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    let tokens = refresh(&app, &first).await.data();
    app.clock.advance(TimeDelta::days(7));
    refresh(&app, &text(&tokens["refresh_token"])).await.assert_error(401, "session_ended");

    // However often it is refreshed, a session ends at its age.
    let mut token = text(&app.login(ADA).await["refresh_token"]);
    for _ in 0..14 {
        app.clock.advance(TimeDelta::days(6));
        token = text(&refresh(&app, &token).await.data()["refresh_token"]);
    }
    app.clock.advance(TimeDelta::days(6));
    refresh(&app, &token).await.assert_error(401, "session_ended");
}

#[tokio::test]
async fn c03_fifty_parallel_refreshes_have_one_successor() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let mut token = text(&app.login(ADA).await["refresh_token"]);
    for round in 0..rounds(20, 200) {
        let all = join_all((0..50).map(|_| refresh(&app, &token))).await;
        let successor = text(&all[0].data()["refresh_token"]);
        let is_same = |answer: &Answer| answer.data()["refresh_token"] == *successor;
        assert!(successor != token && all.iter().all(is_same), "round {round}");
        token = successor;
        app.clock.advance(TimeDelta::seconds(1));
    }
    refresh(&app, &token).await.data();
}

/// Of equal requests at once one succeeds. The others find nothing any more, or no turn at the hasher.
fn assert_one_success(answers: &[Answer], round: usize) {
    let of = |expected: &[u16]| answers.iter().filter(|a| expected.contains(&a.status)).count();
    assert_eq!((of(&[200]), of(&[422, 503])), (1, answers.len() - 1), "round {round}");
}

#[tokio::test]
async fn c05_of_50_parallel_uses_of_a_verification_code_one_succeeds() {
    let mut app = TestApp::start().await;
    for round in 0..rounds(20, 200) {
        let email = format!("user-{round}@example.com");
        let body = json!({"email": email, "password": PASSWORD});
        app.post("/api/v1/auth/register", body).send().await.assert_done();
        let code = app.code_for(&email).await;
        let body = json!({"email": email, "password": PASSWORD, "code": code});
        let verify = |_| app.post("/api/v1/auth/verify-email", body.clone()).send();
        assert_one_success(&join_all((0..50).map(verify)).await, round);
        app.welcomed(&email).await;
    }
}

#[tokio::test]
async fn c05_of_50_parallel_uses_of_a_reset_token_one_succeeds() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    for round in 0..rounds(20, 200) {
        let forgot = app.post("/api/v1/auth/forgot-password", json!({"email": ADA}));
        forgot.send().await.assert_done();
        let token = app.reset_token_for(ADA).await;
        let reset = |n: usize| {
            let body = json!({"token": token, "new_password": format!("a brand new password {n}")});
            app.post("/api/v1/auth/reset-password", body).send()
        };
        assert_one_success(&join_all((0..50).map(reset)).await, round);
    }
}

#[tokio::test]
async fn c06_no_header_of_a_request_is_in_a_mail() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "evil"),
        ("forwarded", "host=evil.example;proto=evil"),
        ("x-original-url", "https://evil.example/"),
        ("referer", "https://evil.example/"),
        ("user-agent", "evil"),
    ] {
        let forgot = app.post("/api/v1/auth/forgot-password", json!({"email": ADA}));
        forgot.header(name, value).send().await.assert_done();
        let mail = app.mail_to(ADA).await;
        assert!(!mail.text.contains("evil"), "{name}: {}", mail.text);
    }
}

#[tokio::test]
async fn c03_a_refresh_token_used_again_later_ends_the_session() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let other_session = text(&app.login(ADA).await["access_token"]);
    let first = text(&app.login(ADA).await["refresh_token"]);
    let second = refresh(&app, &first).await.data();
    app.clock.advance(TimeDelta::seconds(11));
    let reused = refresh(&app, &first).await;
    assert_eq!(reused.assert_error(401, "refresh_token_reused")["code"], 1106);
    refresh(&app, &text(&second["refresh_token"])).await.assert_error(401, "session_ended");
    me(&app, &text(&second["access_token"])).await.assert_error(401, "session_ended");
    me(&app, &other_session).await.data();
}

#[tokio::test]
async fn c01_a_token_of_another_kind_or_surface_opens_nothing() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let user = app.login(ADA).await;
    app.add_admin().await;
    let admin = app.admin_login().await;
    let (user_access, user_refresh) = (text(&user["access_token"]), text(&user["refresh_token"]));
    let (admin_access, admin_refresh) =
        (text(&admin["access_token"]), text(&admin["refresh_token"]));
    for token in [&user_refresh, &admin_access, &admin_refresh, "x"] {
        me(&app, token).await.assert_error(401, "invalid_token");
    }
    for token in [&user_access, &user_refresh, &admin_refresh] {
        let answer = app.get("/api/v1/backoffice/auth/me").bearer(token).send().await;
        answer.assert_error(401, "invalid_token");
    }
    for token in [&user_access, &admin_access, &admin_refresh] {
        refresh(&app, token).await.assert_error(401, "invalid_token");
    }
    for token in [&user_access, &user_refresh, &admin_access] {
        let body = json!({"refresh_token": token});
        let answer = app.post("/api/v1/backoffice/auth/refresh", body).send().await;
        answer.assert_error(401, "invalid_token");
    }
}

#[tokio::test]
async fn c05_a_reset_changes_the_password_and_ends_all_sessions() {
    let mut app = TestApp::start().await;
    let access = app.user_token(ADA).await;
    let forgot = |app: &TestApp, email: &str| {
        app.post("/api/v1/auth/forgot-password", json!({"email": email})).send()
    };
    let reset = |app: &TestApp, token: &str, password: &str| {
        let body = json!({"token": token, "new_password": password});
        app.post("/api/v1/auth/reset-password", body).send()
    };
    let (known, unknown) = (forgot(&app, ADA).await, forgot(&app, "nobody@example.com").await);
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    let older = app.reset_token_for(ADA).await;
    forgot(&app, ADA).await.assert_done();
    let token = app.reset_token_for(ADA).await;
    let invalid = reset(&app, &older, "a brand new password").await;
    assert_eq!(invalid.assert_error(422, "invalid_reset_token")["code"], 1105);

    // A weak password leaves the token usable.
    let weak = reset(&app, &token, "ada@example.com").await;
    assert_eq!(weak.faults(), [("new_password".to_owned(), "guessable".to_owned())]);
    let all = join_all((0..10).map(|_| reset(&app, &token, "a brand new password"))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);

    me(&app, &access).await.assert_error(401, "session_ended");
    let old = json!({"email": ADA, "password": PASSWORD});
    app.post("/api/v1/auth/login", old).send().await.assert_error(401, "invalid_credentials");
    let new = json!({"email": ADA, "password": "a brand new password"});
    app.post("/api/v1/auth/login", new).send().await.data();

    forgot(&app, ADA).await.assert_done();
    let token = app.reset_token_for(ADA).await;
    app.clock.advance(TimeDelta::minutes(30));
    let late = reset(&app, &token, "yet another password").await;
    late.assert_error(422, "invalid_reset_token");
}

#[tokio::test]
async fn c05_a_verification_code_is_no_reset_token() {
    let mut app = TestApp::start().await;
    let body = json!({"email": ADA, "password": PASSWORD});
    app.post("/api/v1/auth/register", body).send().await.assert_done();
    let code = app.code_for(ADA).await;
    let body = json!({"token": code, "new_password": "a brand new password"});
    let answer = app.post("/api/v1/auth/reset-password", body).send().await;
    answer.assert_error(422, "invalid_reset_token");
}
