//! How things go over time, as staff see it.

use chrono::{DateTime, Datelike, Days, Months, NaiveTime, TimeDelta, Utc, Weekday};
use diesel_async::RunQueryDsl;
use futures_util::future::join_all;
use serde_json::{Value, json};
use twofold::db::{
    migrations,
    tallies::{self, Metric, Period},
};

use crate::{
    second_factor,
    session_check::hears,
    support::{
        TestApp, TestDb,
        app::{ADMIN, PASSWORD},
        cluster::connect,
        explain::Explain,
        http::Answer,
        statements::Statements,
        wait,
    },
};

const ADA: &str = "ada@example.com";
const EVE: &str = "eve@example.com";

/// Half past ten on a Monday; a week later it is the same month.
fn monday(app: &TestApp) -> DateTime<Utc> {
    let next_month = app.clock.now().date_naive() + Months::new(1);
    let eighth = next_month.with_day(8).expect("a day");
    let mondays = eighth.iter_days().find(|day| day.weekday() == Weekday::Mon);
    let half_past_ten = NaiveTime::from_hms_opt(10, 30, 0).expect("a time");
    mondays.expect("there is one").and_time(half_past_ten).and_utc()
}

fn move_to(app: &TestApp, time: DateTime<Utc>) {
    app.clock.advance(time - app.clock.now());
}

async fn ask(app: &TestApp, token: &str, query: &str) -> Answer {
    app.get(&format!("/api/v1/backoffice/dashboard{query}")).bearer(token).send().await
}

/// Somebody of the staff who signs in anew, however late it is.
async fn staff(app: &TestApp) -> String {
    app.admin_login().await["access_token"].as_str().expect("a token").to_owned()
}

/// The dashboard, once these are its totals: registrations, sign-ins and those that failed.
async fn shown(app: &TestApp, query: &str, totals: [i64; 3]) -> Value {
    let token = staff(app).await;
    let [registrations, sign_ins, failed] = totals;
    let totals = json!({
        "registrations": registrations, "sign_ins": sign_ins, "failed_sign_ins": failed
    });
    wait(async || {
        let found = ask(app, &token, query).await.data();
        (found["totals"] == totals).then_some(found)
    })
    .await
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("text").parse().expect("a time")
}

/// Of each point in which anything happened, when it begins, and how often what did: registrations, active users,
/// sign-ins and those that failed.
fn points(dashboard: &Value) -> Vec<(DateTime<Utc>, [i64; 4])> {
    let names = ["registrations", "active_users", "sign_ins", "failed_sign_ins"];
    let points = dashboard["points"].as_array().expect("a list").iter().map(|point| {
        (time(&point["starts_at"]), names.map(|name| point[name].as_i64().expect("a number")))
    });
    points.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect()
}

async fn login(app: &TestApp, email: &str, password: &str) -> u16 {
    let body = json!({"email": email, "password": password});
    app.post("/api/v1/auth/login", body).send().await.status
}

async fn refresh(app: &TestApp, tokens: &Value) -> Value {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    app.post("/api/v1/auth/refresh", body).send().await.data()
}

async fn register(app: &TestApp, email: &str) {
    let body = json!({"email": email, "password": PASSWORD});
    app.post("/api/v1/auth/register", body).send().await.assert_done();
}

#[tokio::test]
async fn what_happens_is_counted_by_hour_day_week_and_month_and_gaps_are_zero() {
    let mut app = TestApp::start().await;
    let start = monday(&app);
    move_to(&app, start);
    app.add_admin().await;
    app.verified_user(ADA).await;
    register(&app, EVE).await;
    app.code_for(EVE).await;
    // Who has an account registers none.
    register(&app, ADA).await;
    app.mail_to(ADA).await;
    for (email, password) in [(ADA, "wrong"), ("nobody@example.com", PASSWORD), (EVE, PASSWORD)] {
        assert_eq!(login(&app, email, password).await, 401);
    }
    // Staff are no users.
    let body = json!({"email": ADMIN, "password": "wrong"});
    assert_eq!(app.post("/api/v1/backoffice/auth/login", body).send().await.status, 401);
    join_all((0..5).map(|_| login(&app, ADA, PASSWORD))).await;
    let tokens = app.login(ADA).await;
    let tokens = refresh(&app, &tokens).await;
    move_to(&app, start + TimeDelta::hours(1));
    let tokens = refresh(&app, &tokens).await;
    move_to(&app, start + TimeDelta::days(2));
    refresh(&app, &tokens).await;
    move_to(&app, start + TimeDelta::days(7));
    app.login(ADA).await;

    let to = start + TimeDelta::days(8);
    let query = |interval: &str| {
        let (from, to) = (start - TimeDelta::days(1), to);
        let text = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        format!("?interval={interval}&from={}&to={}", text(from), text(to))
    };
    let totals = [2, 7, 3];
    let hour = start - TimeDelta::minutes(30);
    let day = hour - TimeDelta::hours(10);
    let by_hour = shown(&app, &query("hour"), totals).await;
    let expected = [
        (hour, [2, 1, 6, 3]),
        (hour + TimeDelta::hours(1), [0, 1, 0, 0]),
        (hour + TimeDelta::days(2), [0, 1, 0, 0]),
        (hour + TimeDelta::days(7), [0, 1, 1, 0]),
    ];
    assert_eq!(points(&by_hour), expected);
    let by_day = shown(&app, &query("day"), totals).await;
    let expected = [
        (day, [2, 1, 6, 3]),
        (day + TimeDelta::days(2), [0, 1, 0, 0]),
        (day + TimeDelta::days(7), [0, 1, 1, 0]),
    ];
    assert_eq!(points(&by_day), expected);
    // Each day is there, from that of `from` on.
    let all = by_day["points"].as_array().expect("a list");
    assert_eq!((all.len(), &by_day["from"]), (10, &all[0]["starts_at"]));
    assert_eq!((time(&by_day["from"]), time(&by_day["to"])), (day - TimeDelta::days(1), to));
    assert_eq!(by_day["interval"], "day");
    let by_week = shown(&app, &query("week"), totals).await;
    assert_eq!(points(&by_week), [(day, [2, 1, 6, 3]), (day + Days::new(7), [0, 1, 1, 0])]);
    let by_month = shown(&app, &query("month"), totals).await;
    let month = day.with_day(1).expect("a day");
    assert_eq!(points(&by_month), [(month, [2, 1, 7, 3])]);
}

#[tokio::test]
async fn wrong_codes_and_suspensions_are_failures_too() {
    let stage = second_factor::Stage::set().await;
    let app = &stage.app;
    app.add_admin().await;
    let body = json!({"email": ADA, "password": PASSWORD});
    let challenge = app.post("/api/v1/auth/login", body).send().await.json()["data"].clone();
    shown(app, "", [1, 1, 0]).await;
    let body = json!({"challenge_token": challenge["challenge_token"], "code": "000000"});
    let wrong = app.post("/api/v1/auth/login/mfa", body).send().await;
    wrong.assert_error(422, "invalid_second_factor");
    shown(app, "", [1, 1, 1]).await;
    let db = connect(app.database_url()).await;
    db.batch_execute("UPDATE users SET status = 'suspended'").await.expect("done");
    assert_eq!(login(app, ADA, PASSWORD).await, 403);
    shown(app, "", [1, 1, 2]).await;
}

#[tokio::test]
async fn thirty_days_are_shown_and_a_thousand_points_at_most() {
    let app = TestApp::start().await;
    let token = app.admin_token().await;
    for (interval, days) in [("hour", 1), ("day", 29), ("week", 29 * 7), ("month", 882)] {
        let found = ask(&app, &token, &format!("?interval={interval}")).await.data();
        let points = found["points"].as_array().expect("a list");
        let (first, last) = (time(&points[0]["starts_at"]), time(&points[29]["starts_at"]));
        assert_eq!((points.len(), (last - first).num_days() / 10), (30, days / 10), "{interval}");
        assert!(last <= app.clock.now() && points[29]["sign_ins"] == 0, "{interval}");
    }
    let day = ask(&app, &token, "").await.data();
    assert_eq!(
        (&day["interval"], day["points"].as_array().map(Vec::len)),
        (&json!("day"), Some(30))
    );
    let faults = async |query: &str| ask(&app, &token, query).await.faults();
    let fault = |field: &str, rule: &str| [(field.to_owned(), rule.to_owned())];
    let thousand = "?interval=hour&from=2026-01-01T00:30:00Z&to=2026-02-11T16:00:00Z";
    let found = ask(&app, &token, thousand).await.data();
    assert_eq!(found["points"].as_array().map(Vec::len), Some(1000));
    let more = thousand.replace("16:00:00", "16:00:01");
    assert_eq!(faults(&more).await, fault("from", "too_many"));
    let none = "?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z";
    assert_eq!(faults(none).await, fault("to", "order"));
    assert_eq!(faults("?from=9999-12-31T00:00:00Z").await, fault("to", "order"));
    assert_eq!(faults("?interval=year").await, fault("interval", "enum"));
}

#[tokio::test]
async fn several_processes_count_and_none_loses_what_the_database_does_not_take() {
    let db = TestDb::create().await;
    let mut app = TestApp::builder().database_url(&db.url).start().await;
    let other = TestApp::builder().database_url(&db.url);
    let other = other.setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await;
    app.add_admin().await;
    app.verified_user(ADA).await;
    app.login(ADA).await;
    other.login(ADA).await;
    login(&other, ADA, "wrong").await;
    let found = shown(&app, "", [1, 2, 1]).await;
    assert_eq!(found["points"][29]["active_users"], 1);
    let sql = connect(&db.url).await;
    sql.batch_execute("ALTER TABLE tallies RENAME TO away").await.expect("renamed");
    app.login(ADA).await;
    assert!(app.core.tallies.store(&app.core).await.is_err());
    sql.batch_execute("ALTER TABLE away RENAME TO tallies").await.expect("renamed");
    shown(&app, "", [1, 3, 1]).await;
}

#[tokio::test]
async fn what_was_counted_last_is_stored_at_the_end() {
    let db = TestDb::create().await;
    let mut app = TestApp::builder().database_url(&db.url).start().await;
    login(&app, ADA, PASSWORD).await;
    // Its turn has come: the next one is a second away.
    let sql = connect(&db.url).await;
    let stored = async || -> i64 {
        let row = sql.query_one("SELECT coalesce(sum(count), 0)::bigint FROM tallies", &[]).await;
        row.expect("asked").get(0)
    };
    wait(async || (stored().await == 4).then_some(())).await;
    login(&app, ADA, PASSWORD).await;
    app.stop();
    app.stopped().await;
    app.stop_background().await;
    assert_eq!(stored().await, 8);
}

#[tokio::test]
async fn it_takes_one_statement_which_reads_what_it_shows() {
    let db = TestDb::create().await;
    let sql = connect(&db.url).await;
    let two_years = "INSERT INTO tallies
        SELECT 'hour', hour, metric, 1, hour, hour
        FROM generate_series(timestamptz '2024-01-01', '2026-01-01', '1 hour') AS hour,
             unnest(ARRAY['registrations', 'active_users', 'sign_ins', 'failed_sign_ins']) AS metric";
    for statement in [two_years, "VACUUM ANALYZE tallies"] {
        sql.batch_execute(statement).await.expect("done");
    }
    let statements = Statements::watch();
    let app = Statements::app().database_url(&db.url).start().await;
    let token = app.admin_token().await;
    let query = "?interval=hour&from=2025-03-01T00:00:00Z&to=2025-03-31T00:00:00Z";
    ask(&app, &token, "").await.data();
    hears(&app).await;
    let shows = async |sign_ins: i64| {
        let (count, found) = statements.of(ask(&app, &token, query)).await;
        assert_eq!(found.data()["totals"]["sign_ins"], json!(sign_ins));
        count
    };
    // What is known takes none, until something is counted. Where time passes, it may take more.
    let mut took = Vec::new();
    for sign_ins in 720..726 {
        hears(&app).await;
        took.push((shows(sign_ins).await, shows(sign_ins).await));
        let at = "2025-03-10T12:34:56Z".parse().expect("a time");
        app.core.tallies.count(Metric::SignIns, at);
        app.core.tallies.store(&app.core).await.expect("stored");
    }
    assert!(took.iter().filter(|counts| **counts == (1, 0)).count() >= 2, "{took:?}");

    let time = |text: &str| text.parse().expect("a time");
    let (from, to) = (time("2025-03-01T00:00:00Z"), time("2025-03-31T00:00:00Z"));
    let mut conn = app.core.db.conn().await.expect("a connection");
    let plan = Explain(tallies::listed(Period::Hour, from, to)).load::<String>(&mut conn).await;
    let plan = plan.expect("explained").join("\n");
    assert!(plan.contains("tallies_pkey") && plan.contains("rows=2880"), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("Removed by"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registered_before_anything_was_counted_is_counted() {
    let db = TestDb::create().await;
    let url = db.url.clone().into();
    while !migrations::down(&url).await.expect("down").expect("there").contains("000070") {}
    let sql = connect(&db.url).await;
    let users = "INSERT INTO users (id, email, password_hash, status, last_login_at, created_at, updated_at)
        SELECT gen_random_uuid(), n || '@example.com', 'x', 'active',
               CASE n WHEN 1 THEN timestamptz '2026-02-28T23:00:00Z' END, time, time
        FROM unnest(ARRAY[timestamptz '2026-01-31T23:30:00Z', '2026-02-01T00:30:00Z'])
             WITH ORDINALITY AS users (time, n)";
    sql.batch_execute(users).await.expect("inserted");
    migrations::up(&url).await.expect("up");
    let counted = "SELECT string_agg(period || ' ' || to_char(starts_at AT TIME ZONE 'UTC', 'MM-DD HH24') || ' ' || count,
                       ', ' ORDER BY period, starts_at) FROM tallies WHERE metric = 'registrations'";
    let counted: String = sql.query_one(counted, &[]).await.expect("asked").get(0);
    let expected = "day 01-31 00 1, day 02-01 00 1, hour 01-31 23 1, hour 02-01 00 1, \
                    month 01-01 00 1, month 02-01 00 1, week 01-26 00 2";
    assert_eq!(counted, expected);
    let active = "SELECT count(*) FROM user_activity WHERE active_at = '2026-02-28T23:00:00Z'";
    assert_eq!(sql.query_one(active, &[]).await.expect("asked").get::<_, i64>(0), 1);
}
