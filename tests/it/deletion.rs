//! Deleting one's own account: wanted, taken back, done.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::{db::Origin, jobs, services::deletion};

use crate::support::{TestApp, TestDb, app::PASSWORD, cluster::connect, http::Answer, wait};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const ME: &str = "/api/v1/users/me";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn delete(app: &TestApp, token: &str) -> Answer {
    app.request(Method::DELETE, ME).bearer(token).send().await
}

async fn cancel(app: &TestApp, token: &str) -> Answer {
    app.post(&format!("{ME}/cancel-deletion"), json!({})).bearer(token).send().await
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.get(ME).bearer(token).send().await
}

async fn sign_in(app: &TestApp) -> String {
    text(&app.login(ADA).await["access_token"])
}

/// Has accounts erased whose time has come, and returns how many were.
async fn erase(app: &TestApp, staff: &str) -> Value {
    let path = "/api/v1/backoffice/schedules/deletions/run";
    let asked = app.request(Method::POST, path).bearer(staff).send().await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let place = asked.header("location").to_owned();
    wait(async || {
        let job = app.get(&place).bearer(staff).send().await.data();
        (job["state"] == "succeeded").then(|| job["result"]["erased"].clone())
    })
    .await
}

#[tokio::test]
async fn c04_who_deletes_the_account_is_signed_out_everywhere_and_can_take_it_back() {
    let mut app = TestApp::start().await;
    let (first, other) = (app.user_token(ADA).await, sign_in(&app).await);
    let patch = app.request(Method::PATCH, ME).bearer(&first);
    patch.json(json!({"time_zone": "Asia/Tokyo"})).send().await.data();
    cancel(&app, &first).await.assert_error(409, "deletion_not_requested");
    app.clock.advance(TimeDelta::minutes(16));
    delete(&app, &first).await.assert_error(403, "step_up_required");
    let token = sign_in(&app).await;
    assert_eq!(delete(&app, &token).await.status, 204);
    for token in [&first, &other, &token] {
        me(&app, token).await.assert_error(401, "session_ended");
    }

    let token = sign_in(&app).await;
    let due = text(&me(&app, &token).await.data()["deletion_due_at"]);
    let due = chrono::DateTime::parse_from_rfc3339(&due).expect("a time");
    let days = (due.to_utc() - app.clock.now()).num_days();
    assert!((29..=30).contains(&days), "{days}");
    let notice = async |app: &mut TestApp, subject: &str| loop {
        let mail = app.notice_to(ADA).await;
        if mail.subject == subject {
            break mail;
        }
    };
    let told = notice(&mut app, "Your account is going to be deleted").await;
    let tokyo = (due + TimeDelta::hours(9)).to_utc().format("%Y-%m-%d %H:%M (Asia/Tokyo)");
    assert!(told.text.contains(&tokyo.to_string()), "{}", told.text);

    // Wanted once more it happens no later.
    app.clock.advance(TimeDelta::minutes(5));
    assert_eq!(delete(&app, &token).await.status, 204);
    let token = sign_in(&app).await;
    let again = text(&me(&app, &token).await.data()["deletion_due_at"]);
    assert_eq!(chrono::DateTime::parse_from_rfc3339(&again).expect("a time"), due);

    let user = cancel(&app, &token).await.data();
    assert!(user.get("deletion_due_at").is_none(), "{user}");
    cancel(&app, &token).await.assert_error(409, "deletion_not_requested");
    notice(&mut app, "Your account stays").await;
}

#[tokio::test]
async fn an_erased_account_leaves_nothing_and_takes_nothing_else_along() {
    let own = TestDb::create().await;
    let mut app = TestApp::builder().database_url(&own.url).start().await;
    let staff = app.admin_token().await;
    app.verified_user(BOB).await;
    let token = app.user_token(ADA).await;
    let factor = app.post("/api/v1/auth/mfa/totp", json!({})).bearer(&token).send().await;
    factor.data();
    let body = json!({"email": "ada@new.example.com"});
    let change = app.post(&format!("{ME}/change-email"), body).bearer(&token).send().await;
    change.assert_done();
    app.new_address_code_for("ada@new.example.com").await;
    let file = crate::files::attachment("text/plain", 5);
    app.post(crate::files::FILES, file).bearer(&token).send().await.data();
    assert_eq!(delete(&app, &token).await.status, 204);
    app.notice_to(ADA).await;
    let db = connect(app.database_url()).await;
    let id = "SELECT id::text FROM users WHERE email = 'ada@example.com'";
    let id: String = db.query_one(id, &[]).await.expect("Ada").get(0);

    app.clock.advance(TimeDelta::days(30) - TimeDelta::minutes(1));
    let staff = {
        drop(staff);
        text(&app.admin_login().await["access_token"])
    };
    assert_eq!(erase(&app, &staff).await, 0, "a minute too early");
    app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(erase(&app, &staff).await, 1);

    // Whatever names the account, wherever: every column of every table is looked at.
    let columns = "SELECT table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema = current_schema()";
    for row in db.query(columns, &[]).await.expect("columns") {
        let (table, column): (&str, &str) = (row.get(0), row.get(1));
        // What was done stays, to an account whose identifier leads to nobody any more.
        if table.starts_with("audit_logs") && ["actor_id", "subject_id"].contains(&column) {
            continue;
        }
        let sql = format!(
            "SELECT count(*) FROM \"{table}\" WHERE strpos(\"{column}\"::text, $1) > 0
                 OR \"{column}\"::text ILIKE 'ada@%' OR \"{column}\"::text ILIKE '%\"ada@%'"
        );
        let found: i64 = db.query_one(&sql, &[&id]).await.expect("asked").get(0);
        assert_eq!(found, 0, "{table}.{column}");
    }
    let body = json!({"email": ADA, "password": PASSWORD});
    let login = app.post("/api/v1/auth/login", body.clone()).send().await;
    login.assert_error(401, "invalid_credentials");
    app.login(BOB).await;
    // The address is free again.
    app.post("/api/v1/auth/register", body).send().await.assert_done();
    app.code_for(ADA).await;
}

#[tokio::test]
async fn an_account_that_can_not_be_erased_keeps_no_other_from_it() {
    let db = TestDb::create().await;
    let mut app = TestApp::builder().database_url(&db.url).start().await;
    for email in [ADA, BOB] {
        let token = app.user_token(email).await;
        assert_eq!(delete(&app, &token).await.status, 204);
        app.clock.advance(TimeDelta::minutes(1));
    }
    let sql = connect(&db.url).await;
    sql.batch_execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
         CREATE TRIGGER refuse BEFORE DELETE ON users FOR EACH ROW
             WHEN (OLD.email = 'ada@example.com') EXECUTE FUNCTION refuse()",
    )
    .await
    .expect("made");
    app.clock.advance(TimeDelta::days(365));
    let origin = Origin::system("test");
    deletion::erase_due(&app.core, &origin, 10).await.expect_err("the first one");
    let rows = sql.query("SELECT email FROM users", &[]).await.expect("found");
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), [ADA]);
    sql.batch_execute("DROP TRIGGER refuse ON users").await.expect("dropped");
    assert_eq!(deletion::erase_due(&app.core, &origin, 10).await.expect("erased"), 1);
}

#[tokio::test]
async fn what_else_is_kept_of_a_user_can_go_with_the_account() {
    use crate::deletion::kept::DeleteOrders;
    use twofold::services::events::UserErased;

    let registry =
        jobs::registry().on(|event: &UserErased| DeleteOrders { user_id: event.user_id });
    let app = TestApp::builder()
        .jobs(registry)
        .setting("TWOFOLD_ACCOUNTS__DELETION_GRACE_DAYS", "0")
        .start();
    let mut app = app.await;
    let staff = app.admin_token().await;
    let token = app.user_token(ADA).await;
    let id = text(&me(&app, &token).await.data()["id"]);
    assert_eq!(delete(&app, &token).await.status, 204);
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(erase(&app, &staff).await, 1);
    let heard = wait(async || kept::DELETED.lock().expect("unpoisoned").pop()).await;
    assert_eq!(heard.to_string(), id);
}

/// A product's own.
mod kept {
    use std::sync::Mutex;

    use serde::{Deserialize, Serialize};
    use twofold::{
        jobs::{Context, Handler, JobError},
        services::jobs::Job,
    };
    use uuid::Uuid;

    pub static DELETED: Mutex<Vec<Uuid>> = Mutex::new(Vec::new());

    #[derive(Serialize, Deserialize)]
    pub struct DeleteOrders {
        pub user_id: Uuid,
    }

    impl Job for DeleteOrders {
        const KIND: &'static str = "orders.delete";
    }

    impl Handler for DeleteOrders {
        type Output = ();

        async fn run(self, _: Context) -> Result<(), JobError> {
            DELETED.lock().expect("unpoisoned").push(self.user_id);
            Ok(())
        }
    }
}
