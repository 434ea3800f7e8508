//! The second factor of staff: a must in production, asked for by the API and by pages, and asked for again.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::{
    staff_pages::form,
    support::{
        TestApp,
        app::{ADMIN, PASSWORD},
        http::Answer,
    },
};

const API: &str = "/api/v1/backoffice";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Staff, and their authenticator app.
struct Stage {
    app: TestApp,
    authenticator: Totp,
    recovery_codes: Vec<String>,
    /// Of the session in which it was set up.
    token: String,
}

impl Stage {
    async fn set(is_required: bool) -> Self {
        let required = is_required.to_string();
        let app =
            TestApp::builder().setting("TWOFOLD_STAFF__REQUIRE_SECOND_FACTOR", &required).start();
        let app = app.await;
        let token = app.admin_token().await;
        let begin = app.post(&format!("{API}/auth/mfa/totp"), json!({})).bearer(&token);
        let secret = text(&begin.send().await.data()["secret"]);
        let secret = Secret::try_from_base32(secret).expect("base 32");
        let authenticator = Builder::new().with_secret(secret).build().expect("a factor");
        let mut stage = Self { app, authenticator, recovery_codes: Vec::new(), token };
        let confirm =
            stage.post("/auth/mfa/totp/confirm", &stage.token, json!({"code": stage.code()}));
        let codes = confirm.await.data()["recovery_codes"].clone();
        stage.recovery_codes = codes.as_array().expect("a list").iter().map(text).collect();
        stage.next_step();
        stage
    }

    fn code(&self) -> String {
        let now = self.app.clock.now().timestamp().try_into().expect("after 1970");
        self.authenticator.generate(now).to_string()
    }

    fn next_step(&self) {
        self.app.clock.advance(TimeDelta::seconds(30));
    }

    fn post(&self, path: &str, token: &str, body: Value) -> impl Future<Output = Answer> + use<> {
        self.app.post(&format!("{API}{path}"), body).bearer(token).send()
    }

    async fn me(&self, token: &str) -> Answer {
        self.app.get(&format!("{API}/auth/me")).bearer(token).send().await
    }

    async fn challenge(&self) -> String {
        let answer = login(&self.app).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        text(&answer.json()["data"]["challenge_token"])
    }

    fn complete(&self, challenge: &str, code: &str) -> impl Future<Output = Answer> + use<> {
        let body = json!({"challenge_token": challenge, "code": code});
        self.app.post(&format!("{API}/auth/login/mfa"), body).send()
    }
}

async fn login(app: &TestApp) -> Answer {
    app.post(&format!("{API}/auth/login"), json!({"email": ADMIN, "password": PASSWORD}))
        .send()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_staff_sign_in_with_the_factor_and_each_code_works_once() {
    let stage = Stage::set(false).await;
    let challenge = stage.challenge().await;
    stage.me(&challenge).await.assert_error(401, "invalid_token");
    stage.complete(&challenge, "000000").await.assert_error(422, "invalid_second_factor");
    let code = stage.code();
    let all = join_all((0..20).map(|_| stage.complete(&challenge, &code))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
    let token = text(&all.iter().find(|a| a.status == 200).expect("one").data()["access_token"]);
    stage.me(&token).await.data();
    // A recovery code does as well, once.
    for (challenge, status) in [(stage.challenge().await, 200), (stage.challenge().await, 422)] {
        assert_eq!(stage.complete(&challenge, &stage.recovery_codes[0]).await.status, status);
    }
    let state = stage.app.get(&format!("{API}/auth/mfa")).bearer(&token).send().await.data();
    assert_eq!((&state["totp_enabled"], &state["recovery_codes_left"]), (&json!(true), &json!(9)));
    // Nor is a challenge of the users' any good, or one of staff at theirs.
    let body = json!({"challenge_token": stage.challenge().await, "code": stage.code()});
    let elsewhere = stage.app.post("/api/v1/auth/login/mfa", body).send().await;
    elsewhere.assert_error(401, "challenge_ended");
    // A deactivation ends a sign-in that waits.
    let waiting = stage.challenge().await;
    let sql = "UPDATE admins SET status = 'deactivated'";
    let client = crate::support::cluster::connect(stage.app.database_url()).await;
    client.execute(sql, &[]).await.expect("done");
    stage.next_step();
    stage.complete(&waiting, &stage.code()).await.assert_error(403, "account_suspended");
}

#[tokio::test]
async fn c11_pages_ask_staff_for_the_factor_as_well() {
    let stage = Stage::set(true).await;
    let sign_in = async |code: &str| {
        let fields = [("email", ADMIN), ("password", PASSWORD), ("code", code)];
        form(&stage.app, "/backoffice/sign-in", &fields).send().await
    };
    let without = sign_in("").await;
    assert!(without.status == 401 && without.header("set-cookie").is_empty(), "{}", without.text);
    assert!(without.text.contains("Enter a code of your second factor."));
    let wrong = sign_in("000000").await;
    assert!(wrong.status == 401 && wrong.header("set-cookie").is_empty(), "{}", wrong.text);
    let code = stage.code();
    let right = sign_in(&code).await;
    assert!(right.header("set-cookie").contains("__Host-twofold-"), "{}", right.text);
    let again = sign_in(&code).await;
    assert!(again.status == 401 && again.header("set-cookie").is_empty(), "{}", again.text);
}

#[tokio::test]
async fn c11_where_it_is_a_must_nothing_is_open_without_it() {
    let mut stage = Stage::set(true).await;
    // In the session in which it was set up everything is open from then on.
    stage.me(&stage.token).await.data();
    assert_eq!(stage.app.notice_to(ADMIN).await.subject, "Your second factor was set up");
    let disable = stage.app.request(Method::DELETE, &format!("{API}/auth/mfa/totp"));
    assert_eq!(disable.bearer(&stage.token).send().await.status, 204);
    assert_eq!(stage.app.notice_to(ADMIN).await.subject, "Your second factor was removed");
    stage.me(&stage.token).await.assert_error(403, "second_factor_setup_required");
    let token = text(&login(&stage.app).await.data()["access_token"]);
    stage.me(&token).await.assert_error(403, "second_factor_setup_required");
    let fields = [("email", ADMIN), ("password", PASSWORD)];
    let page = form(&stage.app, "/backoffice/sign-in", &fields).send().await;
    assert!(
        page.status == 401 && page.text.contains("Set up a second factor first."),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn c12_what_makes_others_powerful_asks_staff_again_who_they_are() {
    let stage = Stage::set(false).await;
    stage.app.clock.advance(TimeDelta::minutes(15));
    let role = json!({"name": "readers", "description": "", "permissions": ["users:read"]});
    let create = || stage.post("/roles", &stage.token, role.clone());
    create().await.assert_error(403, "step_up_required");
    let step_up = |body: Value| stage.post("/auth/step-up", &stage.token, body);
    step_up(json!({"password": PASSWORD})).await.assert_error(403, "second_factor_required");
    step_up(json!({"code": "000000"})).await.assert_error(422, "invalid_second_factor");
    create().await.assert_error(403, "step_up_required");
    step_up(json!({"code": stage.code()})).await.data();
    create().await.data();
    // Who hasn't the permission is told that first.
    let ada = stage.app.staff_token("ada@example.com", &["support"]).await;
    stage.app.clock.advance(TimeDelta::minutes(16));
    stage.post("/roles", &ada, role.clone()).await.assert_error(403, "permission_denied");
    stage
        .post("/auth/step-up", &ada, json!({"password": "x"}))
        .await
        .assert_error(401, "invalid_credentials");
    stage.post("/auth/step-up", &ada, json!({"password": PASSWORD})).await.data();
}
