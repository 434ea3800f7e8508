//! The second factor: set up, asked for, used once, lost and removed.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::support::{TestApp, app::PASSWORD, http::Answer, rounds};

const ADA: &str = "ada@example.com";
const TOTP: &str = "/api/v1/auth/mfa/totp";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// A user with a second factor, and the authenticator app.
pub struct Stage {
    pub app: TestApp,
    authenticator: Totp,
    pub token: String,
    recovery_codes: Vec<String>,
}

impl Stage {
    pub async fn set() -> Self {
        Self::set_in(TestApp::start().await).await
    }

    async fn set_in(mut app: TestApp) -> Self {
        let token = app.user_token(ADA).await;
        let enrolment = app.post(TOTP, json!({})).bearer(&token).send().await.data();
        let secret = Secret::try_from_base32(text(&enrolment["secret"])).expect("base 32");
        let authenticator = Builder::new().with_secret(secret).build().expect("a factor");
        let mut stage = Self { app, authenticator, token, recovery_codes: Vec::new() };
        let body = json!({"code": stage.code()});
        let confirm = stage.app.post(&format!("{TOTP}/confirm"), body).bearer(&stage.token);
        let codes = confirm.send().await.data()["recovery_codes"].clone();
        stage.recovery_codes = codes.as_array().expect("a list").iter().map(text).collect();
        stage.next_step();
        stage
    }

    /// What the authenticator shows now.
    fn code(&self) -> String {
        let now = self.app.clock.now().timestamp().try_into().expect("after 1970");
        self.authenticator.generate(now).to_string()
    }

    /// A code works once: time for another one.
    fn next_step(&self) {
        self.app.clock.advance(TimeDelta::seconds(30));
    }

    async fn challenge(&self) -> String {
        let answer = login(&self.app, PASSWORD).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let json = answer.json();
        assert_eq!((&json["code"], &json["data"]["expires_in"]), (&json!(202), &json!(300)));
        assert!(json["data"].get("access_token").is_none());
        text(&json["data"]["challenge_token"])
    }

    fn complete(&self, challenge: &str, code: &str) -> impl Future<Output = Answer> + use<> {
        let body = json!({"challenge_token": challenge, "code": code});
        self.app.post("/api/v1/auth/login/mfa", body).send()
    }

    fn step_up(&self, token: &str, body: Value) -> impl Future<Output = Answer> + use<> {
        self.app.post("/api/v1/auth/step-up", body).bearer(token).send()
    }

    fn begin(&self, token: &str) -> impl Future<Output = Answer> + use<> {
        self.app.post(TOTP, json!({})).bearer(token).send()
    }

    fn disable(&self, token: &str) -> impl Future<Output = Answer> + use<> {
        self.app.request(Method::DELETE, TOTP).bearer(token).send()
    }
}

async fn login(app: &TestApp, password: &str) -> Answer {
    app.post("/api/v1/auth/login", json!({"email": ADA, "password": password})).send().await
}

async fn status(app: &TestApp, token: &str) -> Value {
    app.get("/api/v1/auth/mfa").bearer(token).send().await.data()
}

#[tokio::test]
async fn c11_a_sign_in_asks_for_the_factor_and_each_code_works_once() {
    let stage = Stage::set().await;
    assert_eq!(stage.recovery_codes.len(), 10);
    let found = status(&stage.app, &stage.token).await;
    assert_eq!((&found["totp_enabled"], &found["recovery_codes_left"]), (&json!(true), &json!(10)));

    let challenge = stage.challenge().await;
    // It opens nothing else.
    let me = stage.app.get("/api/v1/users/me").bearer(&challenge).send().await;
    me.assert_error(401, "invalid_token");
    stage.complete(&stage.token, &stage.code()).await.assert_error(401, "challenge_ended");
    stage.complete(&challenge, "000000").await.assert_error(422, "invalid_second_factor");
    let code = stage.code();
    let tokens = stage.complete(&challenge, &code).await.data();
    let token = text(&tokens["access_token"]);
    stage.app.get("/api/v1/users/me").bearer(&token).send().await.data();
    // Neither the challenge nor the code is of any more use.
    stage.next_step();
    stage.complete(&challenge, &stage.code()).await.assert_error(401, "challenge_ended");
    let another = stage.challenge().await;
    stage.complete(&another, &code).await.assert_error(422, "invalid_second_factor");
    stage.complete(&another, &stage.code()).await.data();
}

#[tokio::test]
async fn changes_of_the_factor_are_told() {
    let mut stage = Stage::set().await;
    let token = stage.token.clone();
    let renew = stage.app.post("/api/v1/auth/mfa/recovery-codes", json!({})).bearer(&token);
    renew.send().await.data();
    assert_eq!(stage.disable(&token).await.status, 204);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(stage.app.notice_to(ADA).await.subject);
    }
    told.sort_unstable();
    let expected = [
        "Your recovery codes were renewed",
        "Your second factor was removed",
        "Your second factor was set up",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn c11_a_challenge_ends_by_tries_time_and_change_of_password() {
    let mut stage = Stage::set().await;
    let challenge = stage.challenge().await;
    for _ in 0..5 {
        let wrong = stage.complete(&challenge, "000000").await;
        wrong.assert_error(422, "invalid_second_factor");
    }
    stage.complete(&challenge, &stage.code()).await.assert_error(401, "challenge_ended");

    let challenge = stage.challenge().await;
    stage.app.clock.advance(TimeDelta::minutes(5));
    stage.complete(&challenge, &stage.code()).await.assert_error(401, "challenge_ended");

    let challenge = stage.challenge().await;
    let forgot = stage.app.post("/api/v1/auth/forgot-password", json!({"email": ADA}));
    forgot.send().await.assert_done();
    let token = stage.app.reset_token_for(ADA).await;
    let new = "staple battery horse";
    let body = json!({"token": token, "new_password": new});
    stage.app.post("/api/v1/auth/reset-password", body).send().await.assert_done();
    stage.complete(&challenge, &stage.code()).await.assert_error(401, "challenge_ended");
    // Recovery never skips the factor.
    assert_eq!(login(&stage.app, new).await.status, 202);
}

#[tokio::test]
async fn c11_a_recovery_code_works_once_as_people_type_it() {
    let stage = Stage::set().await;
    let code = stage.recovery_codes[3].to_uppercase().replace('-', " ");
    stage.complete(&stage.challenge().await, &code).await.data();
    let again = stage.complete(&stage.challenge().await, &stage.recovery_codes[3]).await;
    again.assert_error(422, "invalid_second_factor");
    assert_eq!(status(&stage.app, &stage.token).await["recovery_codes_left"], 9);

    let path = "/api/v1/auth/mfa/recovery-codes";
    let renewed = stage.app.post(path, json!({})).bearer(&stage.token).send().await.data();
    let fresh = text(&renewed["recovery_codes"][0]);
    assert_eq!(status(&stage.app, &stage.token).await["recovery_codes_left"], 10);
    let old = stage.complete(&stage.challenge().await, &stage.recovery_codes[0]).await;
    old.assert_error(422, "invalid_second_factor");
    stage.complete(&stage.challenge().await, &fresh).await.data();
}

#[tokio::test]
async fn c11_of_50_parallel_uses_of_a_code_one_succeeds() {
    let stage = Stage::set().await;
    for round in 0..rounds(20, 200) {
        stage.next_step();
        let is_recovery = round % 2 == 0;
        if is_recovery && round / 2 >= stage.recovery_codes.len() {
            continue;
        }
        let code = if is_recovery { stage.recovery_codes[round / 2].clone() } else { stage.code() };
        // Ten challenges of five tries each, and each try with the right code.
        let challenges = join_all((0..10).map(|_| stage.challenge())).await;
        let tries = challenges.iter().cycle().take(50);
        let answers = join_all(tries.map(|challenge| stage.complete(challenge, &code))).await;
        let succeeded = answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|a| [401, 422].contains(&a.status)).count();
        assert_eq!((succeeded, refused), (1, 49), "round {round}");
    }
}

#[tokio::test]
async fn c12_what_would_hurt_most_needs_a_recent_proof() {
    let stage = Stage::set().await;
    let token = stage.token.clone();
    stage.app.clock.advance(TimeDelta::minutes(16));
    stage.disable(&token).await.assert_error(403, "step_up_required");
    let renew = stage.app.post("/api/v1/auth/mfa/recovery-codes", json!({})).bearer(&token);
    renew.send().await.assert_error(403, "step_up_required");
    stage.begin(&token).await.assert_error(403, "step_up_required");

    // With a factor the password alone proves nothing.
    let password = json!({"password": PASSWORD});
    stage.step_up(&token, password.clone()).await.assert_error(403, "second_factor_required");
    stage
        .step_up(&token, json!({"password": "wrong"}))
        .await
        .assert_error(401, "invalid_credentials");
    stage
        .step_up(&token, json!({"code": "000000"}))
        .await
        .assert_error(422, "invalid_second_factor");
    stage.step_up(&token, json!({})).await.faults();
    stage.step_up(&token, json!({"password": "a", "code": "123456"})).await.faults();
    stage.disable(&token).await.assert_error(403, "step_up_required");
    let proved = stage.step_up(&token, json!({"code": stage.code()})).await.data();
    assert!(proved["valid_until"].is_string());
    assert_eq!(stage.disable(&token).await.status, 204);
    stage.disable(&token).await.assert_error(409, "second_factor_not_enabled");

    // Without one the password does.
    let tokens = login(&stage.app, PASSWORD).await.data();
    let token = text(&tokens["access_token"]);
    stage.app.clock.advance(TimeDelta::minutes(16));
    stage.begin(&token).await.assert_error(403, "step_up_required");
    stage
        .step_up(&token, json!({"code": "123456"}))
        .await
        .assert_error(422, "invalid_second_factor");
    stage.step_up(&token, password).await.data();
    stage.begin(&token).await.data();
}

#[tokio::test]
async fn a_factor_counts_once_it_is_confirmed_and_there_is_one_of_it() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let confirm = |code: &str| {
        app.post(&format!("{TOTP}/confirm"), json!({"code": code})).bearer(&token).send()
    };
    confirm("123456").await.assert_error(409, "second_factor_not_enabled");
    let enrolment = app.post(TOTP, json!({})).bearer(&token).send().await.data();
    let uri = text(&enrolment["otpauth_uri"]);
    let secret = text(&enrolment["secret"]);
    assert!(uri.starts_with("otpauth://totp/Twofold:ada%40example.com?"), "{uri}");
    assert!(uri.contains(&secret) && uri.contains("issuer=Twofold"), "{uri}");
    assert!(text(&enrolment["qr_code"]).starts_with("data:image/svg+xml;base64,"));
    confirm("000000").await.assert_error(422, "invalid_second_factor");
    assert_eq!(login(&app, PASSWORD).await.status, 200, "it isn't confirmed");

    let of = |secret: &str| {
        let secret = Secret::try_from_base32(secret).expect("base 32");
        let totp = Builder::new().with_secret(secret).build().expect("a factor");
        totp.generate(app.clock.now().timestamp().try_into().expect("after 1970")).to_string()
    };
    // Too late; the secret after it takes its place.
    app.clock.advance(TimeDelta::minutes(15) + TimeDelta::seconds(1));
    confirm(&of(&secret)).await.assert_error(409, "second_factor_not_enabled");
    let tokens = login(&app, PASSWORD).await.data();
    let fresh = text(&tokens["access_token"]);
    let second = text(&app.post(TOTP, json!({})).bearer(&fresh).send().await.data()["secret"]);
    assert_ne!(second, secret);
    confirm(&of(&second)).await.data();
    confirm(&of(&second)).await.assert_error(409, "second_factor_enabled");
    app.post(TOTP, json!({}))
        .bearer(&fresh)
        .send()
        .await
        .assert_error(409, "second_factor_enabled");
}

#[tokio::test]
async fn a_suspended_user_gets_no_further_with_the_factor() {
    let stage = Stage::set().await;
    let challenge = stage.challenge().await;
    let admin = stage.app.admin_token().await;
    let users = stage.app.get("/api/v1/backoffice/users").bearer(&admin).send().await.data();
    let id = text(&users["items"][0]["id"]);
    let path = format!("/api/v1/backoffice/users/{id}/suspend");
    stage.app.post(&path, json!({"reason": "A test."})).bearer(&admin).send().await.data();
    // Its challenges have ended with its sessions.
    stage.complete(&challenge, &stage.code()).await.assert_error(401, "challenge_ended");
}

#[tokio::test]
async fn a_device_is_told_by_its_token_and_no_other() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let sign_in = |token: Value| {
        let body = json!({"email": ADA, "password": PASSWORD, "device_token": token});
        app.post("/api/v1/auth/login", body).send()
    };
    let device = text(&login(&app, PASSWORD).await.data()["device_token"]);
    let claims = |token: &str| {
        let tokens = &app.core.client_sessions.tokens;
        let kind = twofold::services::tokens::TokenKind::Device;
        tokens.verify(kind, token, app.clock.now()).expect("a device's")
    };
    let again = text(&sign_in(json!(device)).await.data()["device_token"]);
    assert_eq!(claims(&again).sid, claims(&device).sid, "the same device");
    // Any other token is as good as none, and keeps nobody out.
    let other = text(&sign_in(json!("e30.e30.e30")).await.data()["device_token"]);
    assert_ne!(claims(&other).sid, claims(&device).sid);
    app.get("/api/v1/users/me").bearer(&device).send().await.assert_error(401, "invalid_token");
}

#[tokio::test]
async fn c10_codes_are_limited_over_all_challenges() {
    let stage = Stage::set_in(TestApp::builder().real_limits().start().await).await;
    let body = json!({"email": ADA, "password": PASSWORD});
    let log_in = async |body: &Value, client: &str| {
        let request = stage.app.post("/api/v1/auth/login", body.clone());
        let answer = request.header("x-forwarded-for", client).send().await;
        text(&answer.json()["data"]["challenge_token"])
    };
    let answer_to = async |challenge: &str, code: &str, client: &str| {
        let body = json!({"challenge_token": challenge, "code": code});
        let request = stage.app.post("/api/v1/auth/login/mfa", body);
        request.header("x-forwarded-for", client).send().await
    };
    // The owner's device, which is known from now on.
    let challenge = log_in(&body, "192.0.2.7").await;
    let device = answer_to(&challenge, &stage.code(), "192.0.2.7").await.data();
    stage.next_step();

    // One code was right; it counts as well.
    let mut wrong = 0;
    for client in ["203.0.113.1", "203.0.113.2"] {
        let challenge = log_in(&body, client).await;
        for _ in 0..5 {
            let answer = answer_to(&challenge, "000000", client).await;
            if wrong < 9 {
                answer.assert_error(422, "invalid_second_factor");
            } else {
                answer.assert_error(429, "too_many_requests");
            }
            wrong += 1;
        }
    }
    let challenge = log_in(&body, "203.0.113.3").await;
    let right = answer_to(&challenge, &stage.code(), "203.0.113.3").await;
    right.assert_error(429, "too_many_requests");
    assert!(right.header("ratelimit").contains("\"account\";r=0;t="), "{:?}", right.headers);

    let known = json!({"email": ADA, "password": PASSWORD, "device_token": device["device_token"]});
    let challenge = log_in(&known, "203.0.113.4").await;
    answer_to(&challenge, &stage.code(), "203.0.113.4").await.data();
    // One try comes back in six minutes.
    stage.app.clock.advance(TimeDelta::minutes(6));
    let challenge = log_in(&body, "203.0.113.3").await;
    answer_to(&challenge, &stage.code(), "203.0.113.3").await.data();
}

#[tokio::test]
async fn c10_codes_and_passwords_are_limited_at_step_up_and_at_the_confirmation() {
    let stage = Stage::set_in(TestApp::builder().real_limits().start().await).await;
    for _ in 0..9 {
        let answer = stage.step_up(&stage.token, json!({"code": "000000"})).await;
        answer.assert_error(422, "invalid_second_factor");
    }
    let code = json!({"code": stage.code()});
    stage.step_up(&stage.token, code.clone()).await.assert_error(429, "too_many_requests");
    let confirm = stage.app.post(&format!("{TOTP}/confirm"), code).bearer(&stage.token);
    confirm.send().await.assert_error(429, "too_many_requests");
    for _ in 0..10 {
        let answer = stage.step_up(&stage.token, json!({"password": "x"})).await;
        answer.assert_error(401, "invalid_credentials");
    }
    let answer = stage.step_up(&stage.token, json!({"password": PASSWORD})).await;
    answer.assert_error(429, "too_many_requests");
    // Guessing in one session takes nothing from others.
    assert_eq!(login(&stage.app, PASSWORD).await.status, 202);
}
