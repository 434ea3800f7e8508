//! Under a key, effect and answer become durable together or not at all: whatever the handler
//! does, the database says, or dies meanwhile.

use std::{io::Write, net::TcpStream, sync::Arc, time::Duration};

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, OpenApiService, types::Example};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use tokio_postgres::Client;
use twofold::{
    api::{
        ApiVersion, Surface,
        body::Body,
        envelope::{Answer as Outcome, ApiResponse, Done},
        error::ApiError,
        idempotency::IdempotencyKey,
    },
    db::{Origin, Tx},
    services::{
        Code, Core, ServiceError,
        mails::{self, DEFAULT_LOCALE, Template},
    },
};

use crate::{
    idempotency::{HOLD, RESENT, Stage, assert_replayed, count},
    support::{
        TestApp, TestDb,
        app::PASSWORD,
        cluster::connect,
        http::{Answer, Request},
        program::{Program, dir},
    },
};

const TRIAL: &str = "/api/v2/trial";

/// How a trial goes on once it has written a mail and committed.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum Ending {
    WriteAgain,
    Fail,
    Fault,
    Panic,
    /// Writes again and rolls that back, and answers as if nothing were.
    GiveUp,
    /// Has two transactions open at a time.
    Overlap,
    AnswerTooMuch,
    Hang,
}

#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct TrialRequest {
    /// How it goes on.
    ending: Ending,
}

impl Example for TrialRequest {
    fn example() -> Self {
        Self { ending: Ending::WriteAgain }
    }
}

async fn write(core: &Core, origin: &Origin) -> Result<Tx, ServiceError> {
    let mut tx = core.db.begin(origin).await?;
    let values = minijinja::context! {};
    let (recipient, template, locale) = ("a@example.com", Template::Test, DEFAULT_LOCALE);
    let request = mails::Request { recipient, user_id: None, template, locale, values };
    core.mails.queue(core, &mut tx, request).await?;
    Ok(tx)
}

struct TrialApi;

#[OpenApi]
impl TrialApi {
    /// Try something
    #[oai(path = "/trial", method = "post", operation_id = "run_trial")]
    async fn trial(
        &self,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        origin: Origin,
        body: Body<TrialRequest>,
    ) -> Outcome<Done> {
        let write = || write(core.0, &origin);
        let failed = |error: twofold::db::DbError| ApiError(error.into());
        if matches!(body.0.ending, Ending::Overlap) {
            let (first, second) = (write().await?, write().await?);
            first.commit().await.map_err(failed)?;
            second.commit().await.map_err(failed)?;
        } else {
            write().await?.commit().await.map_err(failed)?;
        }
        let mut message = "Done.".to_owned();
        match body.0.ending {
            Ending::WriteAgain => write().await?.commit().await.map_err(failed)?,
            Ending::Fail => return Err(Code::InvalidCode.into()),
            Ending::Fault => return Err(Code::Internal.into()),
            Ending::Panic => panic!("on purpose"),
            Ending::GiveUp => drop(write().await?),
            Ending::Overlap => {}
            Ending::AnswerTooMuch => message = "x".repeat(65 * 1024),
            Ending::Hang => std::future::pending().await,
        }
        Ok(ApiResponse::success(Done::with(&message).0))
    }
}

async fn stage() -> Stage {
    let service = OpenApiService::new(TrialApi, "Trials", "2.0");
    let builder = TestApp::builder()
        .version(ApiVersion::new(Surface::Client, "v2", service))
        .setting("TWOFOLD_SERVER__REQUEST_TIMEOUT_MS", "2000")
        .setting("TWOFOLD_DATABASE__STATEMENT_TIMEOUT_MS", "1500")
        .setting("TWOFOLD_DATABASE__POOL_WAIT_MS", "1000");
    Stage::set(builder).await
}

async fn trial(stage: &Stage, ending: &str) -> Answer {
    let request = stage.app.post(TRIAL, json!({"ending": ending}));
    request.header("idempotency-key", ending).send().await
}

/// Waits until a query counts as many rows.
async fn until(sql: &Client, count_of: &str, expected: i64) {
    for _ in 0..1000 {
        if count(sql, count_of).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{count_of} counts {}", count(sql, count_of).await);
}

#[tokio::test]
async fn what_a_request_commits_is_one_transaction_with_its_answer() {
    let stage = stage().await;
    let first = trial(&stage, "write_again").await;
    assert_eq!((first.data()["message"].as_str(), stage.count("mails").await), (Some("Done."), 2));
    assert_replayed(&trial(&stage, "write_again").await, &first);
    assert_eq!(stage.count("mails").await, 2);
}

#[tokio::test]
async fn a_failure_that_leaves_something_behind_is_an_answer_too() {
    let stage = stage().await;
    let first = trial(&stage, "fail").await;
    first.assert_error(422, "invalid_code");
    assert_replayed(&trial(&stage, "fail").await, &first);
    assert_eq!(stage.count("mails").await, 1);
}

#[tokio::test]
async fn a_fault_undoes_all_and_gives_the_key_back() {
    let stage = stage().await;
    for (ending, status, error) in [
        ("fault", 500, "internal_error"),
        ("panic", 500, "internal_error"),
        ("give_up", 500, "internal_error"),
        ("overlap", 500, "internal_error"),
        ("answer_too_much", 500, "internal_error"),
        ("hang", 503, "request_timeout"),
    ] {
        trial(&stage, ending).await.assert_error(status, error);
        until(&stage.sql, "idempotency_keys", 0).await;
        assert_eq!(stage.count("mails").await, 0, "{ending}");
    }
    // Without a key each commit counts.
    let body = json!({"ending": "give_up"});
    stage.app.post(TRIAL, body).send().await.data();
    assert_eq!(stage.count("mails").await, 1);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let stage = stage().await;
    let request = stage.app.post(TRIAL, json!({"ending": "hang"}));
    let gone = tokio::spawn(request.header("idempotency-key", "k").send());
    until(&stage.sql, "idempotency_keys", 1).await;
    gone.abort();
    until(&stage.sql, "idempotency_keys", 0).await;
    assert_eq!(stage.count("mails").await, 0);
}

#[tokio::test]
async fn a_commit_that_fails_is_no_success() {
    let stage = stage().await;
    let refuse = "
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'refused at the commit'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON mails
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()";
    stage.sql.batch_execute(refuse).await.expect("made");
    trial(&stage, "write_again").await.assert_error(500, "internal_error");
    until(&stage.sql, "idempotency_keys", 0).await;
    assert_eq!(stage.count("mails").await, 0);
    stage.sql.batch_execute("DROP TRIGGER refuse ON mails").await.expect("dropped");
    assert_eq!(trial(&stage, "write_again").await.header("idempotency-replayed"), "");
    assert_eq!(stage.count("mails").await, 2);
}

#[tokio::test]
async fn who_was_overtaken_has_no_effect() {
    let stage = stage().await;
    // The mail can't be written yet.
    let lock = connect(&stage.db.url).await;
    lock.batch_execute("BEGIN; LOCK TABLE mails IN EXCLUSIVE MODE").await.expect("locked");
    let request = stage.app.post(TRIAL, json!({"ending": "write_again"}));
    let slow = tokio::spawn(request.header("idempotency-key", "k").send());
    until(&stage.sql, "idempotency_keys", 1).await;
    let overtake = "UPDATE idempotency_keys SET claim_id = gen_random_uuid()";
    stage.sql.batch_execute(overtake).await.expect("taken");
    lock.batch_execute("COMMIT").await.expect("unlocked");
    slow.await.expect("sent").assert_error(409, "idempotency_key_in_flight");
    assert_eq!((stage.count("mails").await, stage.count("idempotency_keys").await), (0, 1));
}

const EMAIL: &str = "ada@example.com";

/// The program with a registered user, whose code can be sent again.
async fn program_with_user(dir: &std::path::Path, db: &TestDb) -> Program {
    let program = start(dir, db);
    let body = json!({"email": EMAIL, "password": PASSWORD});
    post(&program, "register").json(body).send().await.assert_done();
    program
}

fn start(dir: &std::path::Path, db: &TestDb) -> Program {
    Program::start(dir, &[("DATABASE_URL", &db.url)])
}

fn post(program: &Program, what: &str) -> Request {
    let url = format!("{}/api/v1/auth/{what}", program.base);
    Request::new(&reqwest::Client::new(), Method::POST, url)
}

fn resend(program: &Program) -> Request {
    post(program, "resend-code").json(json!({"email": EMAIL})).header("idempotency-key", "k")
}

/// Of a request that waits for the row of its key, its effect being done.
const WAITING: &str = "pg_stat_activity WHERE datname = current_database() \
    AND wait_event_type = 'Lock' AND query LIKE 'UPDATE \"idempotency_keys\"%'";

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_effect_and_commit_a_request_has_had_no_effect() {
    let (dir, db) = (dir(), TestDb::create().await);
    let mut program = program_with_user(dir.path(), &db).await;
    let (sql, jobs, key) = (connect(&db.url).await, connect(&db.url).await, connect(&db.url).await);
    jobs.batch_execute(HOLD).await.expect("locked");
    let unanswered = tokio::spawn(resend(&program).try_send());
    until(&sql, "idempotency_keys", 1).await;
    key.batch_execute("BEGIN; SELECT FROM idempotency_keys FOR UPDATE").await.expect("locked");
    jobs.batch_execute("COMMIT").await.expect("unlocked");
    until(&sql, WAITING, 1).await;
    program.signal(Signal::KILL);
    program.wait();
    unanswered.await.expect("sent").expect_err("nobody answers");
    key.batch_execute("COMMIT").await.expect("unlocked");

    let program = start(dir.path(), &db);
    resend(&program).send().await.assert_error(409, "idempotency_key_in_flight");
    assert_eq!(count(&sql, RESENT).await, 0);
    let time_passes = "UPDATE idempotency_keys SET leased_until = created_at";
    sql.batch_execute(time_passes).await.expect("moved");
    let first = resend(&program).send().await;
    first.assert_done();
    assert_replayed(&resend(&program).send().await, &first);
    until(&sql, "mails", 2).await;
    assert_eq!(count(&sql, RESENT).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_commit_and_answer_a_request_is_answered_by_the_next_process() {
    let (dir, db) = (dir(), TestDb::create().await);
    let mut program = program_with_user(dir.path(), &db).await;
    let sql = connect(&db.url).await;
    let address = program.base.strip_prefix("http://").expect("an address");
    let mut unread = TcpStream::connect(address).expect("connected");
    let body = json!({"email": EMAIL}).to_string();
    write!(
        unread,
        "POST /api/v1/auth/resend-code HTTP/1.1\r\nhost: {address}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    until(&sql, "idempotency_keys WHERE answer IS NOT NULL", 1).await;
    program.signal(Signal::KILL);
    program.wait();

    let program = start(dir.path(), &db);
    let again = resend(&program).send().await;
    again.assert_done();
    assert_eq!(again.header("idempotency-replayed"), "true");
    until(&sql, "mails", 2).await;
    assert_eq!(count(&sql, RESENT).await, 1);
}
