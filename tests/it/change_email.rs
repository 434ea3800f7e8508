//! Another address for an account: a code to the new one, a notice to the old one.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{TestApp, app::PASSWORD, http::Answer, rounds};

const ADA: &str = "ada@example.com";
const NEW: &str = "ada@new.example.com";
const BOB: &str = "bob@example.com";
const CHANGE: &str = "/api/v1/users/me/change-email";

struct Stage {
    app: TestApp,
    token: String,
}

impl Stage {
    async fn set() -> Self {
        let mut app = TestApp::start().await;
        let token = app.user_token(ADA).await;
        Self { app, token }
    }

    async fn begin(&self, email: &str) -> Answer {
        self.app.post(CHANGE, json!({"email": email})).bearer(&self.token).send().await
    }

    fn confirm(&self, code: &str) -> impl Future<Output = Answer> + use<> {
        let path = format!("{CHANGE}/confirm");
        self.app.post(&path, json!({"code": code})).bearer(&self.token).send()
    }

    async fn me(&self) -> Value {
        self.app.get("/api/v1/users/me").bearer(&self.token).send().await.data()
    }

    async fn login(&self, email: &str) -> Answer {
        let body = json!({"email": email, "password": PASSWORD});
        self.app.post("/api/v1/auth/login", body).send().await
    }

    /// Registers an address; it is not verified.
    async fn register(&self, email: &str, password: &str) {
        let body = json!({"email": email, "password": password});
        self.app.post("/api/v1/auth/register", body).send().await.assert_done();
    }
}

/// Another code than this.
fn wrong(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

#[tokio::test]
async fn c13_the_new_address_confirms_and_the_old_one_is_told() {
    let mut stage = Stage::set().await;
    let forgot = stage.app.post("/api/v1/auth/forgot-password", json!({"email": ADA}));
    forgot.send().await.assert_done();
    let reset_token = stage.app.reset_token_for(ADA).await;

    stage.begin(NEW).await.assert_done();
    let code = stage.app.new_address_code_for(NEW).await;
    assert_eq!(stage.me().await["email"], ADA, "nothing has changed yet");
    stage.confirm(wrong(&code)).await.assert_error(422, "invalid_code");
    stage.confirm(&code).await.assert_done();
    let user = stage.me().await;
    assert_eq!((&user["email"], &user["email_verified"]), (&json!(NEW), &json!(true)));
    stage.confirm(&code).await.assert_error(422, "invalid_code");

    stage.login(NEW).await.data();
    stage.login(ADA).await.assert_error(401, "invalid_credentials");
    let notice = stage.app.notice_to(ADA).await;
    assert_eq!(notice.subject, "Your account has another address");
    assert!(!notice.text.contains(NEW), "{}", notice.text);
    // Who has the old mailbox has nothing to take the account over with.
    let body = json!({"token": reset_token, "new_password": "staple battery horse"});
    let reset = stage.app.post("/api/v1/auth/reset-password", body).send().await;
    reset.assert_error(422, "invalid_reset_token");
    // The old address is free.
    stage.register(ADA, PASSWORD).await;
    stage.app.code_for(ADA).await;
}

#[tokio::test]
async fn c13_it_takes_a_recent_proof() {
    let stage = Stage::set().await;
    stage.app.clock.advance(TimeDelta::minutes(16));
    stage.begin(NEW).await.assert_error(403, "step_up_required");
    let faults = {
        let body = json!({"password": PASSWORD});
        let step_up = stage.app.post("/api/v1/auth/step-up", body).bearer(&stage.token);
        step_up.send().await.data();
        stage.begin("Ada@Example.com").await.faults()
    };
    assert_eq!(faults, [("email".to_owned(), "unchanged".to_owned())]);
}

#[tokio::test]
async fn c05_a_code_of_a_new_address_lives_briefly_and_belongs_to_one_account() {
    let mut stage = Stage::set().await;
    stage.begin(NEW).await.assert_done();
    let old = stage.app.new_address_code_for(NEW).await;
    stage.app.clock.advance(TimeDelta::minutes(10));
    stage.confirm(&old).await.assert_error(422, "invalid_code");

    // A newer one kills the older, and five wrong tries kill any.
    stage.begin(NEW).await.assert_done();
    let first = stage.app.new_address_code_for(NEW).await;
    stage.begin("ada@newer.example.com").await.assert_done();
    let second = stage.app.new_address_code_for("ada@newer.example.com").await;
    if first != second {
        stage.confirm(&first).await.assert_error(422, "invalid_code");
    }
    for _ in 0..5 {
        stage.confirm(wrong(&second)).await.assert_error(422, "invalid_code");
    }
    stage.confirm(&second).await.assert_error(422, "invalid_code");

    // Neither another account's code nor one for something else.
    stage.begin(NEW).await.assert_done();
    let code = stage.app.new_address_code_for(NEW).await;
    let bob = stage.app.user_token(BOB).await;
    let path = format!("{CHANGE}/confirm");
    let foreign = stage.app.post(&path, json!({"code": code})).bearer(&bob).send().await;
    foreign.assert_error(422, "invalid_code");
    let body = json!({"email": ADA, "password": PASSWORD, "code": code});
    let verify = stage.app.post("/api/v1/auth/verify-email", body).send().await;
    verify.assert_error(422, "invalid_code");
    assert_eq!(stage.me().await["email"], ADA);
    stage.confirm(&code).await.assert_done();
}

#[tokio::test]
async fn c09_the_answer_does_not_tell_whether_an_address_has_an_account() {
    let mut stage = Stage::set().await;
    stage.app.verified_user(BOB).await;
    let (free, taken) = (stage.begin(NEW).await, stage.begin(BOB).await);
    free.assert_done();
    assert_eq!((free.status, &free.text), (taken.status, &taken.text));
    stage.app.new_address_code_for(NEW).await;
    assert_eq!(stage.app.mail_to(BOB).await.subject, "You already have an account");
    // A wrong code answers the same, too.
    stage.confirm("000000").await.assert_error(422, "invalid_code");
}

#[tokio::test]
async fn c13_an_address_that_somebody_has_claimed_beforehand_goes_to_its_owner() {
    let mut stage = Stage::set().await;
    let squatter = "a squatter's password";
    stage.register(NEW, squatter).await;
    let claimed = stage.app.code_for(NEW).await;
    stage.begin(NEW).await.assert_done();
    let code = stage.app.new_address_code_for(NEW).await;
    stage.confirm(&code).await.assert_done();
    let body = json!({"email": NEW, "password": squatter, "code": claimed});
    let verify = stage.app.post("/api/v1/auth/verify-email", body).send().await;
    verify.assert_error(422, "invalid_code");
    stage.login(NEW).await.data();
}

#[tokio::test]
async fn an_address_that_was_verified_meanwhile_stays_whose_it_is() {
    let mut stage = Stage::set().await;
    stage.begin(BOB).await.assert_done();
    let code = stage.app.new_address_code_for(BOB).await;
    stage.app.verified_user(BOB).await;
    stage.confirm(&code).await.assert_error(409, "email_taken");
    assert_eq!(stage.me().await["email"], ADA);
    stage.login(BOB).await.data();
}

#[tokio::test]
async fn c05_of_50_parallel_uses_of_a_code_of_a_new_address_one_succeeds() {
    let mut stage = Stage::set().await;
    for round in 0..rounds(20, 200) {
        let email = format!("ada-{round}@example.com");
        stage.begin(&email).await.assert_done();
        let code = stage.app.new_address_code_for(&email).await;
        let answers = join_all((0..50).map(|_| stage.confirm(&code))).await;
        let of = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((of(200), of(422)), (1, 49), "round {round}");
        assert_eq!(stage.me().await["email"], email);
        // The proof of the sign-in stays recent.
        stage.app.clock.advance(TimeDelta::seconds(1));
    }
}
