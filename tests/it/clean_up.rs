//! What is of no use any more goes, by schedules that staff can also run at once.

use chrono::{Days, TimeDelta};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;
use twofold::adapters::clock::Clock;

use crate::support::{
    TestApp, TestDb,
    app::PASSWORD,
    cluster::connect,
    program::{Program, dir},
    wait,
};

const SCHEDULES: &str = "/api/v1/backoffice/schedules";

/// Runs a schedule, and returns what came of it.
async fn run(app: &TestApp, token: &str, schedule: &str) -> Value {
    let path = format!("{SCHEDULES}/{schedule}/run");
    let asked = app.request(Method::POST, &path).bearer(token).send().await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let place = asked.header("location").to_owned();
    wait(async || {
        let job = app.get(&place).bearer(token).send().await.data();
        (job["state"] == "succeeded").then(|| job["result"].clone())
    })
    .await
}

/// Adds a row that is like another one but for what `changes` says.
async fn copy(db: &Client, table: &str, changes: &Value) {
    let sql = format!(
        "INSERT INTO {table}
         SELECT (jsonb_populate_record(row, $1::text::jsonb)).* FROM {table} AS row LIMIT 1"
    );
    assert_eq!(db.execute(&sql, &[&changes.to_string()]).await.expect(table), 1);
}

async fn count(db: &Client, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    db.query_one(&sql, &[]).await.expect("asked").get(0)
}

#[tokio::test]
async fn what_is_of_no_use_any_more_is_deleted_and_nothing_else() {
    let own = TestDb::create().await;
    let mut app = TestApp::builder().database_url(&own.url).start().await;
    let staff = app.admin_token().await;
    app.verified_user("ada@example.com").await;
    // The second time tells of a new device.
    app.login("ada@example.com").await;
    app.login("ada@example.com").await;
    let body = json!({"email": "eve@example.com", "password": PASSWORD});
    let request = app.post("/api/v1/auth/register", body).header("idempotency-key", "k");
    request.send().await.assert_done();
    app.code_for("eve@example.com").await;
    let db = connect(app.database_url()).await;
    wait(async || (count(&db, "notifications").await == 1).then_some(())).await;
    let ago = |hours: i64| (app.core.clock.now() - TimeDelta::hours(hours)).to_rfc3339();
    let id = |n: u32| format!("00000000-0000-7000-8000-00000000000{n}");
    let (day, month) = (24, 30 * 24);
    // Of each: what is stale, and what is only just not.
    let cases = [
        (
            "tokens",
            "user_one_time_codes",
            json!({"purpose": "reset_password", "expires_at": ago(day + 1)}),
            json!({"purpose": "reset_password", "expires_at": ago(day - 1)}),
        ),
        (
            "sessions",
            "user_sessions",
            json!({"id": id(1), "expires_at": ago(month + 1)}),
            json!({"id": id(2), "expires_at": ago(month - 1)}),
        ),
        (
            "sessions",
            "admin_sessions",
            json!({"id": id(1), "revoked_at": ago(month + 1)}),
            json!({"id": id(2), "revoked_at": ago(month - 1)}),
        ),
        (
            "idempotency_keys",
            "idempotency_keys",
            json!({"key_hash": "\\x01", "expires_at": ago(1)}),
            json!({"key_hash": "\\x02", "expires_at": ago(-1)}),
        ),
        (
            "job_history",
            "jobs",
            json!({"id": id(1), "state": "succeeded", "finished_at": ago(7 * day + 1)}),
            json!({"id": id(2), "state": "succeeded", "finished_at": ago(7 * day - 1)}),
        ),
        (
            "mails",
            "mails",
            json!({"id": id(1), "state": "sent", "created_at": ago(3 * month + 1)}),
            json!({"id": id(2), "state": "sent", "created_at": ago(3 * month - 1)}),
        ),
        (
            "notifications",
            "notifications",
            json!({"id": id(1), "created_at": ago(6 * month + 1)}),
            json!({"id": id(2), "created_at": ago(6 * month - 1)}),
        ),
    ];
    for (schedule, table, stale, fresh) in cases {
        copy(&db, table, &stale).await;
        let before = count(&db, table).await;
        let result = run(&app, &staff, schedule).await;
        assert_eq!(result, json!({"deleted": 1}), "{table}");
        // Running it is a job as well.
        let is_jobs = i64::from(table == "jobs");
        assert_eq!(count(&db, table).await, before - 1 + is_jobs, "{table}");
        copy(&db, table, &fresh).await;
        assert_eq!(run(&app, &staff, schedule).await, json!({"deleted": 0}), "{table}");
    }
}

#[tokio::test]
async fn a_mail_whose_job_was_cancelled_is_given_up() {
    let own = TestDb::create().await;
    let builder = TestApp::builder().database_url(&own.url);
    let app = builder.setting("SMTP_URL", "smtp://127.0.0.1:1").start().await;
    let staff = app.admin_token().await;
    for email in ["ada@example.com", "eve@example.com"] {
        let body = json!({"email": email, "password": PASSWORD});
        app.post("/api/v1/auth/register", body).send().await.assert_done();
    }
    let db = connect(app.database_url()).await;
    wait(async || app.core.mails.mailer.pause().map(drop)).await;
    let cancel = "UPDATE jobs SET state = 'cancelled', finished_at = now(), worker_id = NULL
         WHERE kind = 'mail.deliver' AND payload ->> 'mail_id' =
             (SELECT id::text FROM mails WHERE recipient = 'eve@example.com')";
    // A job writes the mail.
    wait(async || (db.execute(cancel, &[]).await.expect("asked") == 1).then_some(())).await;
    run(&app, &staff, "mails").await;
    let sql = "SELECT state, body IS NULL, last_error FROM mails ORDER BY recipient";
    let rows = db.query(sql, &[]).await.expect("mails");
    let told = |n: usize| -> (String, bool) { (rows[n].get(0), rows[n].get(1)) };
    assert_eq!(told(0), ("pending".to_owned(), false), "its job goes on");
    assert_eq!(told(1), ("failed".to_owned(), true));
    assert_eq!(rows[1].get::<_, String>(2), "its job has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_log_files_go_also_when_nothing_is_logged() {
    let dir = dir();
    let program = Program::start(dir.path(), &[("TWOFOLD_LOG__SINKS", "file")]);
    let logs = dir.path().join("logs");
    let today = Clock::default().now().date_naive();
    let file = |back: u64| {
        let day = today.checked_sub_days(Days::new(back)).expect("a day");
        logs.join(format!("sql.{day}.log"))
    };
    for back in [6, 7] {
        std::fs::write(file(back), "").expect("written");
    }
    let client = reqwest::Client::new();
    let post = async |path: &str, token: &str, body: Value| {
        let request = client.post(format!("{}{path}", program.base)).bearer_auth(token).json(&body);
        request.send().await.expect("answered")
    };
    let password = program.first_password().expect("the first start");
    let body = json!({"email": "admin@example.com", "password": password});
    let login: Value =
        post("/api/v1/backoffice/auth/login", "", body).await.json().await.expect("JSON");
    let token = login["data"]["access_token"].as_str().expect("a token");
    let asked = post(&format!("{SCHEDULES}/logs/run"), token, json!({})).await;
    assert_eq!(asked.status(), 202);
    wait(async || (!file(7).exists()).then_some(())).await;
    assert!(file(6).exists());
}
