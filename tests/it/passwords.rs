//! Which passwords may be set, wherever that is, and how they are stored.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    TestApp,
    app::{ADMIN, Builder, PASSWORD},
    cluster::connect,
    http::Answer,
    program,
};

const ADA: &str = "ada@example.com";
const REGISTER: &str = "/api/v1/auth/register";

async fn register(app: &TestApp, password: &str) -> Answer {
    app.post(REGISTER, json!({"email": ADA, "password": password, "name": "Ada"})).send().await
}

#[track_caller]
fn assert_refused(answer: &Answer, field: &str, rule: &str) {
    assert_eq!(answer.faults(), [(field.to_owned(), rule.to_owned())]);
}

#[tokio::test]
async fn c08_common_passwords_and_ones_own_name_are_refused_wherever_one_is_set() {
    let mut app = TestApp::start().await;
    assert_refused(&register(&app, "PassWord1234").await, "password", "common");
    assert_refused(&register(&app, "ada@example.com").await, "password", "guessable");

    app.verified_user(ADA).await;
    let forgot = json!({"email": ADA});
    app.post("/api/v1/auth/forgot-password", forgot).send().await.assert_done();
    let token = app.reset_token_for(ADA).await;
    for (password, rule) in [("PassWord1234", "common"), ("ada@example.com", "guessable")] {
        let body = json!({"token": token, "new_password": password});
        let answer = app.post("/api/v1/auth/reset-password", body).send().await;
        assert_refused(&answer, "new_password", rule);
    }

    let token = app.admin_token().await;
    for (password, rule) in [("PassWord1234", "common"), ("Grace@Example", "guessable")] {
        let body = json!({"current_password": PASSWORD, "new_password": password});
        let change = app.post("/api/v1/backoffice/auth/change-password", body).bearer(&token);
        assert_refused(&change.send().await, "new_password", rule);
    }
}

#[tokio::test]
async fn c08_at_the_command_line_as_well() {
    let app = TestApp::start().await;
    let dir = program::dir();
    let args = ["admin", "create", "--email", ADMIN, "--name", "Grace", "--password-stdin"];
    let mut command = program::command(dir.path(), &args);
    command.env("DATABASE_URL", app.database_url()).stdin(std::process::Stdio::piped());
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("started");
    std::io::Write::write_all(child.stdin.as_mut().expect("piped"), b"password1234\n")
        .expect("taken");
    let output = child.wait_with_output().expect("ended");
    assert!(!output.status.success(), "{}", program::stdout(&output));
}

/// Sets a new password by mail.
async fn reset(app: &mut TestApp, password: &str) -> Answer {
    let forgot = json!({"email": ADA});
    app.post("/api/v1/auth/forgot-password", forgot).send().await.assert_done();
    let token = app.reset_token_for(ADA).await;
    let body = json!({"token": token, "new_password": password});
    app.post("/api/v1/auth/reset-password", body).send().await
}

#[tokio::test]
async fn c08_eight_characters_will_do_beside_a_second_factor_only() {
    let mut app = TestApp::start().await;
    assert_refused(&register(&app, "kq3 x_9w7 m").await, "password", "length");
    let token = app.user_token(ADA).await;
    assert_refused(&reset(&mut app, "kq3 x_9w").await, "new_password", "length");

    let begin = app.post("/api/v1/auth/mfa/totp", json!({})).bearer(&token).send().await.data();
    let secret = begin["secret"].as_str().expect("text");
    let secret = totp_rs::Secret::try_from_base32(secret).expect("base 32");
    let totp = totp_rs::Builder::new().with_secret(secret).build().expect("a factor");
    let now = app.clock.now().timestamp().try_into().expect("after 1970");
    let body = json!({"code": totp.generate(now).to_string()});
    app.post("/api/v1/auth/mfa/totp/confirm", body).bearer(&token).send().await.data();
    assert_refused(&reset(&mut app, "kq3 x_9").await, "new_password", "too_short");
    reset(&mut app, "kq3 x_9w").await.assert_done();
    let body = json!({"email": ADA, "password": "kq3 x_9w"});
    let login = app.post("/api/v1/auth/login", body).send().await;
    assert_eq!(login.status, 202);

    // With such a password the factor stays.
    app.clock.advance(TimeDelta::minutes(1));
    let now = app.clock.now().timestamp().try_into().expect("after 1970");
    let body = json!({
        "challenge_token": login.json()["data"]["challenge_token"],
        "code": totp.generate(now).to_string(),
    });
    let token = app.post("/api/v1/auth/login/mfa", body).send().await.data();
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let disable = || app.request(Method::DELETE, "/api/v1/auth/mfa/totp").bearer(&token).send();
    let refused = disable().await.assert_error(409, "password_needs_factor");
    assert_eq!(refused["code"], 1116);
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        app.post("/api/v1/users/me/change-password", body).bearer(&token).send().await
    };
    change("kq3 x_9w", PASSWORD).await.assert_done();
    assert_eq!(disable().await.status, 204);
    assert_refused(&change(PASSWORD, "kq3 x_9w").await, "new_password", "length");
}

#[tokio::test]
async fn c08_all_characters_and_long_passwords_are_taken_as_they_are() {
    let app = TestApp::start().await;
    let admin = app.admin_token().await;
    let mut current = PASSWORD.to_owned();
    let long = format!("  ü\u{301}漢字🦀{} ", "x".repeat(240));
    assert!((240..=256).contains(&long.chars().count()));
    let login = async |password: &str| {
        let body = json!({"email": ADMIN, "password": password});
        app.post("/api/v1/backoffice/auth/login", body).send().await.status
    };
    for next in ["            ", "パスワードを忘れないでね", &long] {
        let body = json!({"current_password": current, "new_password": next});
        let change = app.post("/api/v1/backoffice/auth/change-password", body).bearer(&admin);
        change.send().await.assert_done();
        assert_eq!(login(next).await, 200);
        let mut shorter = next.to_owned();
        shorter.pop();
        assert_eq!(login(&shorter).await, 401);
        next.clone_into(&mut current);
    }
    assert_eq!(login(&long.to_uppercase()).await, 401);
}

#[tokio::test]
async fn c08_the_settings_say_how_long_it_must_be() {
    let app = TestApp::builder().setting("TWOFOLD_PASSWORDS__MIN_LENGTH", "30").start().await;
    assert_refused(&register(&app, PASSWORD).await, "password", "length");
}

/// Some of the section `passwords`, as variables name them.
type Settings<'a> = [(&'a str, &'a str)];

/// The stored hash of the user or the admin.
async fn stored(url: &str, table: &str) -> String {
    let sql = format!("SELECT password_hash FROM {table}");
    connect(url).await.query_one(&sql, &[]).await.expect("one").get(0)
}

#[tokio::test]
async fn c07_a_sign_in_hashes_anew_what_was_hashed_otherwise() {
    let (one, two) = ("7d02a9c4e15b8f36".repeat(2), "c91a3be57f60d284".repeat(2));
    let mut first = TestApp::start().await;
    first.verified_user(ADA).await;
    first.add_admin().await;
    let url = first.database_url().to_owned();
    let start = |settings: &Settings| {
        let builder = TestApp::builder().database_url(&url);
        settings.iter().fold(builder, |builder: Builder, (name, value)| {
            builder.setting(&format!("TWOFOLD_PASSWORDS__{name}"), value)
        })
    };
    let steps: [(&Settings, &str, bool); 4] = [
        (&[("ITERATIONS", "2")], "$m=8,t=2,p=1$", true),
        (&[("ITERATIONS", "2"), ("PEPPER", &one)], "$m=8,t=2,p=1,keyid=", true),
        (&[("PEPPER", &two), ("PREVIOUS_PEPPER", &one)], "$m=8,t=1,p=1,keyid=", true),
        (&[("PEPPER", &two)], "$m=8,t=1,p=1,keyid=", false),
    ];
    for (settings, expected, is_renewed) in steps {
        let app = start(settings).start().await;
        let tables = ["users", "admins"];
        let mut before = Vec::new();
        for table in tables {
            before.push(stored(&url, table).await);
        }
        let wrong = json!({"email": ADA, "password": "not the password"});
        app.post("/api/v1/auth/login", wrong).send().await.assert_error(401, "invalid_credentials");
        assert_eq!(stored(&url, "users").await, before[0], "a wrong password changes nothing");
        // The first one renews it, the second one proves that it is the same password.
        for _ in 0..2 {
            app.login(ADA).await;
            app.admin_login().await;
        }
        for (table, before) in tables.iter().zip(before) {
            let after = stored(&url, table).await;
            assert!(after.contains(expected), "{settings:?}: {after}");
            assert_eq!(after != before, is_renewed, "{settings:?}: {table}");
        }
    }
    let lost = start(&[]).start().await;
    let body = json!({"email": ADA, "password": PASSWORD});
    let answer = lost.post("/api/v1/auth/login", body).send().await;
    answer.assert_error(500, "internal_error");
}

#[tokio::test]
async fn c07_a_renewed_hash_is_no_change_of_the_account() {
    let mut first = TestApp::start().await;
    first.verified_user(ADA).await;
    let url = first.database_url().to_owned();
    let app = TestApp::builder().database_url(&url);
    let app = app.setting("TWOFOLD_PASSWORDS__ITERATIONS", "2").start().await;
    app.clock.advance(TimeDelta::hours(1));
    let updated = async || -> Value {
        let row = connect(&url).await.query_one("SELECT updated_at::text FROM users", &[]).await;
        row.expect("one").get::<_, String>(0).into()
    };
    let before = updated().await;
    app.login(ADA).await;
    assert!(stored(&url, "users").await.contains("t=2"));
    assert_eq!(updated().await, before);
}
