//! The audit log: what is recorded, when, and how it is found again.

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::RunQueryDsl;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::db::{
    audit_logs::{AuditFilter, AuditSort, find, listed},
    keyset::{Sort, SortValue, Window},
};
use uuid::Uuid;

use crate::support::{
    TestApp, TestDb,
    app::{ADMIN, PASSWORD},
    cluster::connect,
    explain::Explain,
    http::Answer,
    rounds,
    statements::Statements,
    wait,
};

const LOG: &str = "/api/v1/backoffice/audit-logs";
const ADA: &str = "ada@example.com";

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn list(app: &TestApp, token: &str, query: &str) -> Answer {
    app.get(&format!("{LOG}{query}")).bearer(token).send().await
}

fn actions(data: &Value) -> Vec<String> {
    data["items"].as_array().expect("a list").iter().map(|item| text(&item["action"])).collect()
}

/// The identifier of the user with this address.
async fn user_id(app: &TestApp, token: &str, email: &str) -> String {
    let path = format!("/api/v1/backoffice/users?q={email}");
    text(&app.get(&path).bearer(token).send().await.data()["items"][0]["id"])
}

async fn change_status(app: &TestApp, token: &str, id: &str, verb: &str) -> Answer {
    let path = format!("/api/v1/backoffice/users/{id}/{verb}");
    app.post(&path, json!({"reason": "Sends spam."})).bearer(token).send().await
}

#[tokio::test]
async fn c19_a_change_is_recorded_with_who_did_it_from_where_and_what_it_was() {
    let mut app = TestApp::start().await;
    let token = app.admin_token().await;
    app.verified_user(ADA).await;
    let me = app.get("/api/v1/backoffice/auth/me").bearer(&token).send().await.data();
    let id = user_id(&app, &token, ADA).await;
    let path = format!("/api/v1/backoffice/users/{id}/suspend");
    let suspend = app.post(&path, json!({"reason": "Sends spam."})).bearer(&token);
    let suspended = suspend.header("user-agent", "Support/1.0").send().await;
    suspended.data();

    let found = list(&app, &token, &format!("?subject=user:{id}")).await.data();
    assert_eq!((actions(&found), &found["total"]), (vec!["user.suspended".to_owned()], &json!(1)));
    let entry = found["items"][0].clone();
    assert_eq!((&entry["actor_kind"], &entry["actor_id"]), (&json!("admin"), &me["id"]));
    assert_eq!((&entry["subject_kind"], &entry["subject_id"]), (&json!("user"), &json!(id)));
    assert_eq!(entry["request_id"], suspended.header("x-request-id"));
    assert_eq!(
        (&entry["ip_address"], &entry["user_agent"]),
        (&json!("127.0.0.1"), &json!("Support/1.0"))
    );
    assert_eq!(entry["reason"], "Sends spam.");
    let values = (&entry["before"], &entry["after"]);
    assert_eq!(values, (&json!({"status": "active"}), &json!({"status": "suspended"})));
    let session = text(&entry["session_id"]);
    let sign_in = list(&app, &token, "?action=admin.signed_in").await.data();
    assert_eq!(sign_in["items"][0]["session_id"], session);

    let path = format!("{LOG}/{}", text(&entry["id"]));
    assert_eq!(app.get(&path).bearer(&token).send().await.data(), entry);
    for unknown in ["01975b2e-7c40-7000-8000-000000000001", "5f0ad2c4-e1b0-4c8f-9a7d-3b6e2c1f8a90"]
    {
        let path = format!("{LOG}/{unknown}");
        app.get(&path).bearer(&token).send().await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn c19_nothing_is_done_that_is_not_recorded_and_nothing_recorded_that_is_not_done() {
    let db = TestDb::create().await;
    let mut app = TestApp::builder().database_url(&db.url).start().await;
    let token = app.admin_token().await;
    app.verified_user(ADA).await;
    let id = user_id(&app, &token, ADA).await;
    let client = connect(&db.url).await;
    let rename = |from, to| format!("ALTER FUNCTION {from} RENAME TO {to}");
    let away = rename("record_audit_log", "gone");
    client.batch_execute(&away).await.expect("renamed");
    change_status(&app, &token, &id, "suspend").await.assert_error(500, "internal_error");
    let path = format!("/api/v1/backoffice/users/{id}");
    let user = app.get(&path).bearer(&token).send().await.data();
    assert_eq!(user["status"], "active", "it was not recorded");
    let back = rename("gone", "record_audit_log");
    client.batch_execute(&back).await.expect("renamed");

    let answers = join_all((0..5).map(|_| change_status(&app, &token, &id, "suspend"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    change_status(&app, &token, &id, "reactivate").await.data();
    let found = list(&app, &token, &format!("?subject=user:{id}&sort=created_at")).await.data();
    assert_eq!(actions(&found), ["user.suspended", "user.reactivated"]);
}

#[tokio::test]
async fn what_staff_do_is_recorded() {
    let app = TestApp::start().await;
    app.add_admin().await;
    let login = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        app.post("/api/v1/backoffice/auth/login", body).send().await
    };
    login(ADMIN, "not the password").await.assert_error(401, "invalid_credentials");
    login("nobody@example.com", PASSWORD).await.assert_error(401, "invalid_credentials");
    let tokens = login(ADMIN, PASSWORD).await.data();
    let token = text(&tokens["access_token"]);
    let post = async |path: &str, body: Value| {
        let answer =
            app.post(&format!("/api/v1/backoffice{path}"), body).bearer(&token).send().await;
        assert!(answer.status < 300, "{path}: {}", answer.text);
    };
    let step_up = app.post("/api/v1/backoffice/auth/step-up", json!({"password": "not it"}));
    step_up.bearer(&token).send().await.assert_error(401, "invalid_credentials");
    let new = "another horse battery";
    post("/auth/change-password", json!({"current_password": PASSWORD, "new_password": new})).await;
    post("/queues/mail/pause", json!({})).await;
    post("/queues/mail/pause", json!({})).await;
    post("/queues/mail/resume", json!({})).await;
    post("/schedules/tokens/run", json!({})).await;
    let schedule = "/api/v1/backoffice/schedules/tokens";
    let off = app.request(Method::PATCH, schedule).json(json!({"enabled": false})).bearer(&token);
    off.send().await.data();
    post("/auth/logout", json!({})).await;

    let tokens = login(ADMIN, new).await.data();
    let token = text(&tokens["access_token"]);
    let found = list(&app, &token, "?sort=created_at").await.data();
    let expected = [
        "admin.created",
        "admin.sign_in_failed",
        "admin.sign_in_failed",
        "admin.signed_in",
        "admin.step_up_failed",
        "admin.password_changed",
        "queue.paused",
        "queue.resumed",
        "schedule.run",
        "schedule.disabled",
        "admin.signed_out",
        "admin.signed_in",
    ];
    assert_eq!(actions(&found), expected);
    let (created, known, unknown) = (&found["items"][0], &found["items"][1], &found["items"][2]);
    assert_eq!(
        (&created["actor_kind"], &created["after"]["email"]),
        (&json!("system"), &json!(ADMIN))
    );
    assert_eq!(
        (&known["actor_kind"], &known["subject_id"]),
        (&json!("anonymous"), &created["subject_id"])
    );
    assert!(unknown.get("subject_id").is_none(), "{unknown}");
    let mine =
        list(&app, &token, &format!("?actor_id={}", text(&created["subject_id"]))).await.data();
    assert_eq!(mine["total"], 9);
    let all = found.to_string();
    for secret in [PASSWORD, new, "not the password", "argon2", "nobody@example.com"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

async fn post(app: &TestApp, path: &str, body: Value, token: &str) {
    let answer = app.post(&format!("/api/v1{path}"), body).bearer(token).send().await;
    assert!(answer.status < 300, "{path}: {}", answer.text);
}

#[tokio::test]
async fn what_becomes_of_accounts_is_recorded() {
    let mut app = TestApp::start().await;
    let staff = app.admin_token().await;
    let token = app.user_token(ADA).await;
    let id = user_id(&app, &staff, ADA).await;
    let new = "another horse battery";
    let change = json!({"current_password": PASSWORD, "new_password": new});
    post(&app, "/users/me/change-password", change, &token).await;
    post(&app, "/users/me/change-email", json!({"email": "ada@example.org"}), &token).await;
    let code = app.new_address_code_for("ada@example.org").await;
    post(&app, "/users/me/change-email/confirm", json!({"code": code}), &token).await;
    let deleted = app.request(Method::DELETE, "/api/v1/users/me").bearer(&token).send().await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    let body = json!({"email": "ada@example.org", "password": new});
    let tokens = app.post("/api/v1/auth/login", body).send().await.data();
    post(&app, "/users/me/cancel-deletion", json!({}), &text(&tokens["access_token"])).await;
    let old = json!({"refresh_token": tokens["refresh_token"]});
    for _ in 0..2 {
        app.clock.advance(TimeDelta::seconds(1));
        app.post("/api/v1/auth/refresh", old.clone()).send().await.data();
        app.clock.advance(TimeDelta::seconds(11));
        let again = app.post("/api/v1/auth/refresh", old.clone()).send().await;
        if again.status != 200 {
            again.assert_error(401, "refresh_token_reused");
            break;
        }
    }
    let found = list(&app, &staff, &format!("?subject=user:{id}&sort=created_at")).await.data();
    let expected = [
        "user.password_changed",
        "user.email_changed",
        "user.deletion_requested",
        "user.deletion_cancelled",
        "user.refresh_token_reused",
    ];
    assert_eq!(actions(&found), expected);
    let items = &found["items"];
    assert_eq!((&items[0]["actor_kind"], &items[0]["actor_id"]), (&json!("user"), &json!(id)));
    assert_eq!(items[1]["before"]["email"], ADA);
    assert_eq!(items[1]["after"]["email"], "ada@example.org");
    assert_eq!(items[2]["before"]["deletion_due_at"], Value::Null);
    assert_eq!(
        (&items[4]["actor_kind"], items[4]["session_id"].is_string()),
        (&json!("anonymous"), true)
    );
}

/// The partitions, by name.
async fn partitions(db: &TestDb) -> Vec<String> {
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits \
               WHERE inhparent = 'audit_logs'::regclass ORDER BY 1";
    let rows = connect(&db.url).await.query(sql, &[]).await.expect("asked");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_partition_is_never_missing() {
    let db = TestDb::create().await;
    let app = TestApp::builder()
        .database_url(&db.url)
        .setting("TWOFOLD_JOBS__IN_PROCESS", "false")
        .start()
        .await;
    app.add_admin().await;
    let before = partitions(&db).await;
    // Nobody has seen to it for years; then many need it at once.
    app.clock.advance(TimeDelta::days(1000));
    let name = app.clock.now().format("audit_logs_%Y_%m").to_string();
    assert!(!before.contains(&name), "{before:?}");
    let logins = join_all((0..10).map(|_| app.admin_login())).await;
    let token = text(&logins[0]["access_token"]);
    assert_eq!(list(&app, &token, "?action=admin.signed_in").await.data()["total"], 10);
    let after = partitions(&db).await;
    assert!(after.contains(&name) && after.len() == before.len() + 1, "{after:?}");
    // The last microsecond of a month, and the first of the next one.
    let mut conn = app.core.db.conn().await.expect("a connection");
    for moment in ["2031-03-31T23:59:59.999999Z", "2031-04-01T00:00:00Z"] {
        let moment: DateTime<Utc> = moment.parse().expect("a time");
        twofold::db::audit_logs::make_partition(&mut conn, moment).await.expect("made");
    }
    let made = partitions(&db).await;
    assert!(
        made.contains(&"audit_logs_2031_03".to_owned())
            && made.contains(&"audit_logs_2031_04".to_owned())
    );
}

#[tokio::test]
async fn who_waits_for_a_partition_keeps_no_other_waiting() {
    let db = TestDb::create().await;
    let make = "SELECT make_audit_partition('2031-03-01Z')";
    let maker = connect(&db.url).await;
    maker.batch_execute(&format!("BEGIN; {make}")).await.expect("made");
    let others = [connect(&db.url).await, connect(&db.url).await];
    // Both wait for the first one, and neither ends its transaction.
    let begin = format!("SET lock_timeout = '10s'; BEGIN; {make}");
    let waiting = join_all(others.iter().map(|sql| sql.batch_execute(&begin)));
    let observer = connect(&db.url).await;
    let made = async {
        let count = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database =
                         (SELECT oid FROM pg_database WHERE datname = current_database())";
        wait(async || {
            let row = observer.query_one(count, &[]).await.expect("counted");
            (row.get::<_, i64>(0) == 2).then_some(())
        })
        .await;
        maker.batch_execute("COMMIT").await.expect("committed");
    };
    for outcome in tokio::join!(waiting, made).0 {
        outcome.expect("found");
    }
}

#[tokio::test]
async fn partitions_are_made_before_they_are_needed() {
    let db = TestDb::create().await;
    let app = TestApp::builder().database_url(&db.url).start().await;
    app.clock.advance(TimeDelta::days(500));
    twofold::services::audit::make_partitions(&app.core).await.expect("made");
    let made = partitions(&db).await;
    for month in 0..=3 {
        let moment =
            app.clock.now().checked_add_months(chrono::Months::new(month)).expect("a time");
        let name = moment.format("audit_logs_%Y_%m").to_string();
        assert!(made.contains(&name), "{name} in {made:?}");
    }
}

/// Half a year of entries.
const MANY: &str = include_str!("support/many_audit_logs.sql");

#[tokio::test]
async fn histories_and_deep_pages_are_found_by_index() {
    let db = TestDb::create().await;
    let app = TestApp::builder()
        .database_url(&db.url)
        .setting("TWOFOLD_JOBS__IN_PROCESS", "false")
        .start()
        .await;
    let client = connect(&db.url).await;
    let count = rounds(60_000, 1_000_000);
    let many = MANY.replace(":count", &count.to_string());
    client.batch_execute(&many).await.expect("inserted");
    let id: String = {
        let middle = count / 2;
        let sql =
            format!("SELECT id::text FROM audit_logs ORDER BY created_at OFFSET {middle} LIMIT 1");
        client.query_one(&sql, &[]).await.expect("one").get(0)
    };
    let id: Uuid = id.parse().expect("an id");
    let mut conn = app.core.db.conn().await.expect("a connection");
    let deep = find(&mut conn, id).await.expect("asked").expect("the entry");
    let subject = || Some(("user".to_owned(), "user 7".to_owned()));
    let some = AuditFilter::default;
    let moment = |text: &str| Some(text.parse::<DateTime<Utc>>().expect("a time"));
    let filters = [
        ("_subject_kind_", AuditFilter { subject: subject(), ..some() }),
        ("_actor_id_", AuditFilter { actor_id: Some(Uuid::from_u128(7)), ..some() }),
        ("_request_id_", AuditFilter { request_id: Some("request 77".to_owned()), ..some() }),
        ("", AuditFilter { action: Some("user.reactivated".to_owned()), ..some() }),
        ("", some()),
        ("", AuditFilter { created_to: moment("2026-03-01T00:00:00Z"), ..some() }),
        (
            "",
            AuditFilter {
                created_from: moment("2026-03-01T00:00:00Z"),
                subject: subject(),
                ..some()
            },
        ),
        ("", AuditFilter { actor_id: Some(Uuid::from_u128(7)), subject: subject(), ..some() }),
    ];
    for (index, filter) in &filters {
        for sort in ["-created_at", "created_at"] {
            for behind in
                [None, Some(vec![SortValue::Time(deep.created_at), SortValue::Id(deep.id)])]
            {
                let sort = Sort::<AuditSort>::parse(sort).expect("a sort");
                let window = Window { sort, behind, offset: 0, limit: 21 };
                let explained = Explain(listed(filter, &window));
                let lines: Vec<String> = explained.load(&mut conn).await.expect("explained");
                let plan = lines.join("\n");
                for line in lines.iter().filter(|line| line.contains("actual rows=")) {
                    let rows = line.split("actual rows=").nth(1).expect("a number");
                    let rows = rows.split(' ').next().expect("a number");
                    let rows: f64 = rows.parse().expect("a number");
                    // Partitions of months to come are empty.
                    let most = if line.contains("Seq Scan") { 0.0 } else { 1000.0 };
                    assert!(rows <= most, "{filter:?} reads {line}\n{plan}");
                }
                let removed =
                    lines.iter().filter_map(|line| line.split("Removed by Filter: ").nth(1));
                let removed: u32 = removed.map(|rows| rows.parse::<u32>().expect("a number")).sum();
                assert!(removed <= 1000, "{filter:?} {plan}");
                assert!(plan.contains(index), "{filter:?} {plan}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_takes_two_statements_and_one_by_cursor() {
    let db = TestDb::create().await;
    let statements = Statements::watch();
    let app = Statements::app().database_url(&db.url).start().await;
    let token = app.admin_token().await;
    for _ in 0..3 {
        app.admin_login().await;
    }
    list(&app, &token, "").await.data();
    let (count, page) = statements.of(list(&app, &token, "?per_page=2")).await;
    let page = page.data();
    assert!(count <= 2, "{count}");
    let cursor = text(&page["next_cursor"]);
    let query = format!("?per_page=2&cursor={cursor}");
    let (count, next) = statements.of(list(&app, &token, &query)).await;
    assert_eq!((count, next.data()["items"].as_array().map(Vec::len)), (1, Some(2)));
    let path = format!("{LOG}/{}", text(&page["items"][0]["id"]));
    let (count, one) = statements.of(app.get(&path).bearer(&token).send()).await;
    assert_eq!((count, &one.data()), (1, &page["items"][0]));
    let faults = list(&app, &token, "?subject=user&action=A&created_from=x").await.faults();
    let fields: Vec<_> = faults.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["action", "subject", "created_from"]);
}

#[tokio::test]
async fn c19_of_an_erased_account_only_what_was_done_stays() {
    let db = TestDb::create().await;
    let mut app = TestApp::builder()
        .database_url(&db.url)
        .setting("TWOFOLD_JOBS__IN_PROCESS", "true")
        .start()
        .await;
    let staff = app.admin_token().await;
    let token = app.user_token(ADA).await;
    app.verified_user("bob@example.com").await;
    let (ada, bob) =
        (user_id(&app, &staff, ADA).await, user_id(&app, &staff, "bob@example.com").await);
    for id in [&ada, &bob] {
        change_status(&app, &staff, id, "suspend").await.data();
        change_status(&app, &staff, id, "reactivate").await.data();
    }
    let deleted = app.request(Method::DELETE, "/api/v1/users/me").bearer(&token).send().await;
    assert_eq!(deleted.status, 401, "the suspension has ended it");
    let token = text(&app.login(ADA).await["access_token"]);
    let deleted = app.request(Method::DELETE, "/api/v1/users/me").bearer(&token).send().await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    // Nobody erases what is told of somebody who is there.
    let client = connect(&db.url).await;
    let erase = format!("SELECT erase_audit_details(ARRAY['{bob}'::uuid], '2030-01-01')");
    client.batch_execute(&erase).await.expect("asked");
    app.stop_background().await;
    app.clock.advance(TimeDelta::days(31));
    let origin = twofold::db::Origin::system("test");
    let erased =
        twofold::services::deletion::erase_due(&app.core, &origin, 10).await.expect("erased");
    assert_eq!(erased, 1);

    let staff = text(&app.admin_login().await["access_token"]);
    let found = list(&app, &staff, &format!("?subject=user:{ada}&sort=created_at")).await.data();
    let expected = ["user.suspended", "user.reactivated", "user.deletion_requested", "user.erased"];
    assert_eq!(actions(&found), expected);
    for entry in &found["items"].as_array().expect("a list")[..3] {
        for detail in ["ip_address", "user_agent", "reason", "before", "after"] {
            assert!(entry.get(detail).is_none(), "{detail} in {entry}");
        }
        assert!(entry["erased_at"].is_string() && entry["request_id"].is_string(), "{entry}");
    }
    let others = list(&app, &staff, &format!("?subject=user:{bob}")).await.data();
    for entry in others["items"].as_array().expect("a list") {
        assert!(entry["ip_address"].is_string() && entry["reason"].is_string(), "{entry}");
    }
    let all = "SELECT string_agg(audit_logs::text, '') FROM audit_logs";
    let all: String = client.query_one(all, &[]).await.expect("asked").get(0);
    assert!(!all.contains(ADA), "{all}");
}

#[tokio::test]
async fn c19_rows_are_only_ever_inserted() {
    let db = TestDb::create().await;
    let app = TestApp::builder().database_url(&db.url).start().await;
    app.add_admin().await;
    let client = connect(&db.url).await;
    let partition = app.clock.now().format("audit_logs_%Y_%m").to_string();
    for table in ["audit_logs", partition.as_str()] {
        for change in [
            format!("UPDATE {table} SET action = 'user.suspended'"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let refused = client.batch_execute(&change).await.expect_err(&change);
            let code = refused.code().map(|code| code.code().to_owned());
            assert_eq!(code.as_deref(), Some("42501"), "{change}: {refused}");
        }
    }
}
