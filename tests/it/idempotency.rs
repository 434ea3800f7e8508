//! Requests that are sent again with the same `Idempotency-Key`: in this process and in two.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::json;
use twofold::{api, db::Origin, services::staff};

use crate::support::{
    TestApp, TestDb,
    app::{Builder, PASSWORD},
    cluster::connect,
    http::{Answer, Request},
    rounds,
};

const REGISTER: &str = "/api/v1/auth/register";
const RESEND: &str = "/api/v1/auth/resend-code";
const ADA: &str = "ada@example.com";
/// What follows from a registration, and from the wish for another code.
const REGISTERED: &str = "jobs WHERE kind = 'user.answer_registration'";
/// Keeps requests that ask for either from ending.
pub const HOLD: &str = "BEGIN; LOCK TABLE jobs IN SHARE MODE";
pub const RESENT: &str = "jobs WHERE kind = 'user.send_verification_code'";

/// An application whose rows a test looks at.
pub struct Stage {
    pub app: TestApp,
    pub sql: tokio_postgres::Client,
    pub db: TestDb,
}

impl Stage {
    pub async fn set(builder: Builder) -> Self {
        let db = TestDb::create().await;
        let (app, sql) = (builder.database_url(&db.url).start().await, connect(&db.url).await);
        Self { app, sql, db }
    }

    pub async fn count(&self, table: &str) -> i64 {
        count(&self.sql, table).await
    }

    /// Waits until a request has claimed its key.
    async fn claimed(&self) {
        for _ in 0..1000 {
            if self.count("idempotency_keys").await > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no key is claimed");
    }
}

pub async fn count(sql: &tokio_postgres::Client, table: &str) -> i64 {
    let row = sql.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await;
    row.expect("counted").get(0)
}

fn keyed(request: Request, key: &str) -> Request {
    request.header("idempotency-key", key)
}

fn register(app: &TestApp, key: &str, email: &str) -> impl Future<Output = Answer> + use<> {
    let body = json!({"email": email, "password": PASSWORD});
    keyed(app.post(REGISTER, body), key).send()
}

fn resend(app: &TestApp, key: &str) -> impl Future<Output = Answer> + use<> {
    keyed(app.post(RESEND, json!({"email": ADA})), key).send()
}

/// The first answer, given again.
#[track_caller]
pub fn assert_replayed(again: &Answer, first: &Answer) {
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        ("", "true")
    );
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_has_no_second_effect() {
    let stage = Stage::set(TestApp::builder()).await;
    let without = json!({"email": "grace@example.com", "password": PASSWORD});
    stage.app.post(REGISTER, without).send().await.assert_done();
    assert_eq!(stage.count("idempotency_keys").await, 0, "nothing is kept without a key");

    let first = register(&stage.app, "k", ADA).await;
    first.assert_done();
    assert_replayed(&register(&stage.app, "k", ADA).await, &first);
    assert_eq!((stage.count("users").await, stage.count(REGISTERED).await), (2, 2));
    // Without the key, or with another, it is another request.
    register(&stage.app, "k2", ADA).await.assert_done();
    assert_eq!((stage.count("users").await, stage.count(REGISTERED).await), (2, 3));
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let stage = Stage::set(TestApp::builder()).await;
    register(&stage.app, "k", ADA).await.assert_done();
    let refused = register(&stage.app, "k", "grace@example.com").await;
    assert_eq!(refused.assert_error(422, "idempotency_key_reused")["code"], 1401);
    resend(&stage.app, "k").await.assert_error(422, "idempotency_key_reused");
    let body = json!({"email": ADA, "password": PASSWORD});
    let with_query = keyed(stage.app.post(&format!("{REGISTER}?a=1"), body), "k").send().await;
    // No operation with a key knows a query, and this is told first.
    with_query.assert_error(422, "validation_failed");
    assert_eq!((stage.count("users").await, stage.count(REGISTERED).await), (1, 1));
}

#[tokio::test]
async fn a_key_belongs_to_one_account() {
    let mut app = TestApp::start().await;
    let token = app.admin_token().await;
    let (email, origin) = ("joan@example.com".parse().expect("an address"), Origin::system("test"));
    let created = staff::create(&app.core, &origin, &email, "Joan", Some(PASSWORD.into())).await;
    created.expect("created");
    let login = json!({"email": "joan@example.com", "password": PASSWORD});
    let other = app.post("/api/v1/backoffice/auth/login", login).send().await.data();
    let other = other["access_token"].as_str().expect("a token").to_owned();
    app.verified_user(ADA).await;
    let users = app.get("/api/v1/backoffice/users").bearer(&token).send().await.data();
    let id = users["items"][0]["id"].as_str().expect("an id").to_owned();
    let act = |what: &str, token: &str| {
        let path = format!("/api/v1/backoffice/users/{id}/{what}");
        keyed(app.post(&path, json!({"reason": "Spam."})), "k").bearer(token).send()
    };

    let first = act("suspend", &token).await;
    assert_eq!(first.data()["status"], "suspended");
    act("suspend", &other).await.assert_error(409, "user_already_suspended");
    assert_replayed(&act("suspend", &token).await, &first);
    act("suspend", "x").await.assert_error(401, "invalid_token");
    act("reactivate", &token).await.assert_error(422, "idempotency_key_reused");
    // What failed has left no trace.
    assert_eq!(act("reactivate", &other).await.data()["status"], "active");
}

#[tokio::test]
async fn a_key_in_flight_is_told_so_and_its_request_goes_on() {
    let stage = Stage::set(TestApp::builder()).await;
    register(&stage.app, "first", ADA).await.assert_done();
    stage.sql.batch_execute("DELETE FROM idempotency_keys").await.expect("removed");

    stage.sql.batch_execute(HOLD).await.expect("locked");
    let held = tokio::spawn(resend(&stage.app, "k"));
    let watcher = Stage { sql: connect(&stage.db.url).await, ..stage };
    watcher.claimed().await;
    let early = resend(&watcher.app, "k").await;
    assert_eq!(early.assert_error(409, "idempotency_key_in_flight")["code"], 1402);
    assert_eq!(early.header("retry-after"), "1");
    let other = register(&watcher.app, "k", ADA).await;
    other.assert_error(422, "idempotency_key_reused");
    drop(stage.sql);
    let first = held.await.expect("sent");
    first.assert_done();
    assert_replayed(&resend(&watcher.app, "k").await, &first);
    assert_eq!(watcher.count(RESENT).await, 1);
}

#[tokio::test]
async fn a_failure_without_an_effect_is_answered_anew() {
    let stage = Stage::set(TestApp::builder()).await;
    let token = stage.app.admin_token().await;
    let post = |body| keyed(stage.app.post(REGISTER, body), "k").send();
    post(json!({"email": ADA})).await.faults();
    // Found after the body was read, and before the transaction.
    post(json!({"email": ADA, "password": ADA})).await.faults();
    let path = "/api/v1/backoffice/users/01975b2e-7c40-7000-8000-000000000001/suspend";
    let request = keyed(stage.app.post(path, json!({"reason": "Spam."})), "k");
    request.bearer(&token).send().await.assert_error(404, "not_found");
    assert_eq!(stage.count("idempotency_keys").await, 0);
    let first = register(&stage.app, "k", ADA).await;
    first.assert_done();
    assert_replayed(&register(&stage.app, "k", ADA).await, &first);
}

#[tokio::test]
async fn a_key_is_visible_ascii_of_some_length() {
    let stage = Stage::set(TestApp::builder()).await;
    for key in ["", "two words", &"k".repeat(256)] {
        let faults = register(&stage.app, key, ADA).await.faults();
        assert_eq!(faults, [("Idempotency-Key".to_owned(), "pattern".to_owned())], "{key}");
    }
    assert_eq!(stage.count("users").await, 0);
    register(&stage.app, &"~".repeat(255), ADA).await.assert_done();
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day_and_old_ones_are_removed() {
    let stage = Stage::set(TestApp::builder()).await;
    for key in ["a", "b", "c"] {
        register(&stage.app, key, ADA).await.assert_done();
    }
    stage.app.clock.advance(TimeDelta::hours(24) - TimeDelta::minutes(1));
    assert_eq!(register(&stage.app, "a", ADA).await.header("idempotency-replayed"), "true");
    stage.app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(register(&stage.app, "a", ADA).await.header("idempotency-replayed"), "");
    assert_eq!(stage.count(REGISTERED).await, 4);
    register(&stage.app, "d", ADA).await.assert_done();
    assert_eq!(stage.count("idempotency_keys").await, 2, "a and d");
}

/// To be started where many wait for a connection.
fn patient() -> Builder {
    TestApp::builder()
        .setting("TWOFOLD_DATABASE__POOL_WAIT_MS", "8000")
        .setting("TWOFOLD_DATABASE__STATEMENT_TIMEOUT_MS", "20000")
        .setting("TWOFOLD_SERVER__REQUEST_TIMEOUT_MS", "60000")
}

/// Of many equal requests at once, to any of the applications, one has an effect.
async fn storm(apps: &[&TestApp], sql: &tokio_postgres::Client, round: usize) {
    let (key, email) = (format!("round-{round}"), format!("user-{round}@example.com"));
    let (users, answers) = (count(sql, "users").await, count(sql, REGISTERED).await);
    let all = (0..50).map(|n| register(apps[n % apps.len()], &key, &email));
    let all = join_all(all).await;
    let of = |status| all.iter().filter(move |answer| answer.status == status);
    let fresh = of(200).filter(|answer| answer.header("idempotency-replayed").is_empty()).count();
    let refused = all.iter().find(|answer| ![200, 409].contains(&answer.status));
    assert!(fresh == 1 && refused.is_none(), "{fresh} in round {round}, {refused:?}");
    of(200).for_each(Answer::assert_done);
    of(409).for_each(|answer| drop(answer.assert_error(409, "idempotency_key_in_flight")));
    let after = (count(sql, "users").await, count(sql, REGISTERED).await);
    assert_eq!(after, (users + 1, answers + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_equal_requests_at_once_one_has_an_effect() {
    let stage = Stage::set(patient()).await;
    for round in 0..rounds(10, 200) {
        storm(&[&stage.app], &stage.sql, round).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_their_keys() {
    let secret = "a secret of both processes, long enough";
    let builder = || patient().setting("TWOFOLD_AUTH__CLIENT__SECRET", secret);
    let stage = Stage::set(builder()).await;
    let second = builder().database_url(&stage.db.url).start().await;
    for round in 0..rounds(3, 50) {
        storm(&[&stage.app, &second], &stage.sql, round).await;
    }
    let first = register(&stage.app, "k", ADA).await;
    assert_replayed(&register(&second, "k", ADA).await, &first);
}

/// POSTs that take no key, each with its reason.
const WITHOUT_KEY: &[(&str, &str)] = &[
    ("verify_email", "the code works once"),
    ("login_user", "answers with credentials"),
    ("login_user_with_second_factor", "answers with credentials"),
    ("step_up_user", "sends nothing, and a second time proves it later"),
    ("begin_totp", "answers with credentials"),
    ("confirm_totp", "answers with credentials"),
    ("renew_recovery_codes", "answers with credentials"),
    ("refresh_user_session", "answers with credentials"),
    ("logout_user", "sends nothing, and a second time changes nothing"),
    ("reset_password", "the token works once"),
    ("change_password", "the current password works once"),
    ("confirm_email", "the code works once"),
    ("cancel_deletion", "a second time there is none to cancel"),
    ("read_notification", "a second time changes nothing"),
    ("read_all_notifications", "a second time changes nothing"),
    ("create_file", "answers with a signed URL"),
    ("complete_file", "a second time changes nothing"),
    ("sign_file_parts", "answers with signed URLs"),
    ("create_temporary_credentials", "answers with credentials"),
    ("create_staff_credentials", "answers with credentials"),
    ("preview_managed_file", "answers with a signed URL"),
    ("accept_invitation", "the token works once"),
    ("deactivate_admin", "a second time finds the account in another state"),
    ("reactivate_admin", "a second time finds the account in another state"),
    ("reset_admin_password", "the token works once"),
    ("login_admin_with_second_factor", "answers with credentials"),
    ("step_up_admin", "sends nothing, and a second time proves it later"),
    ("begin_admin_totp", "answers with credentials"),
    ("confirm_admin_totp", "answers with credentials"),
    ("renew_admin_recovery_codes", "answers with credentials"),
    ("login_admin", "answers with credentials"),
    ("impersonate_user", "answers with credentials"),
    ("refresh_admin_session", "answers with credentials"),
    ("logout_admin", "sends nothing, and a second time changes nothing"),
    ("change_admin_password", "the current password works once"),
    ("retry_job", "a second time changes nothing, or finds the job in another state"),
    ("cancel_job", "a second time changes nothing, or finds the job in another state"),
    ("retry_failed_jobs", "what is tried again has not failed any more"),
    ("suspend_users", "each row is tried by itself, and a second time changes nothing"),
    ("reactivate_users", "each row is tried by itself, and a second time changes nothing"),
    ("delete_users", "each row is tried by itself, and a second time changes nothing"),
    ("restore_users", "each row is tried by itself, and a second time changes nothing"),
    ("end_sessions_of_users", "each row is tried by itself, and a second time changes nothing"),
    ("hide_posts", "each row is tried by itself, and a second time changes nothing"),
    ("restore_hidden_posts", "each row is tried by itself, and a second time changes nothing"),
    ("erase_posts", "each row is tried by itself, and a second time changes nothing"),
    ("resolve_report", "a second time it is decided already"),
    ("dismiss_report", "a second time it is decided already"),
    ("pause_queue", "a second time changes nothing"),
    ("resume_queue", "a second time changes nothing"),
];

#[test]
fn every_post_takes_a_key_or_is_listed_with_its_reason() {
    let mut listed: Vec<&str> = WITHOUT_KEY.iter().map(|(id, _)| *id).collect();
    for document in api::documents(None) {
        let json: serde_json::Value = serde_json::from_str(&document.text).expect("JSON");
        for operation in document.operations().filter(|operation| operation.method == "POST") {
            let (id, post) = (&operation.operation_id, &json["paths"][&operation.path]["post"]);
            let parameters = post["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
            let key = parameters.iter().find(|parameter| parameter["name"] == "Idempotency-Key");
            let is_listed = listed.iter().position(|one| one == id).map(|at| listed.remove(at));
            match key {
                None => assert!(is_listed.is_some(), "{id} takes no key, and no reason is listed"),
                Some(key) => {
                    assert!(is_listed.is_none(), "{id} takes a key");
                    assert_eq!((&key["in"], &key["required"]), (&json!("header"), &json!(false)));
                    assert_eq!(key["schema"]["maxLength"], 255, "{id}");
                    for status in ["409", "422"] {
                        assert!(post["responses"][status].is_object(), "{id}: {status}");
                    }
                }
            }
        }
    }
    assert!(listed.is_empty(), "no such operations: {listed:?}");
}
