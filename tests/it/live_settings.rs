//! What staff set while the program runs: releases and maintenance.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    TestApp, TestDb, cluster::connect, http::Answer, statements::Statements, wait,
};

const SETTINGS: &str = "/api/v1/backoffice/settings";
const RELEASE: &str = "/api/v1/config/release";

async fn get(app: &TestApp, token: &str, path: &str) -> Answer {
    app.get(&format!("{SETTINGS}{path}")).bearer(token).send().await
}

async fn put(app: &TestApp, token: &str, path: &str, body: Value) -> Answer {
    let request = app.request(Method::PUT, &format!("{SETTINGS}{path}")).bearer(token);
    request.json(body).send().await
}

/// Another process, which works on no jobs: mails would be in its outbox.
async fn beside(db: &TestDb) -> TestApp {
    let builder = TestApp::builder().database_url(&db.url);
    builder.setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await
}

fn ios(minimum: &str, latest: &str) -> Value {
    let (minimum_version, latest_version) = (minimum, latest);
    json!({"platforms": [{
        "platform": "ios", "minimum_version": minimum_version, "latest_version": latest_version,
        "force_upgrade": true
    }]})
}

fn closed(message: &str) -> Value {
    json!({"enabled": true, "message": message, "retry_after_seconds": 600})
}

#[tokio::test]
async fn releases_that_staff_set_win_over_the_configuration_and_are_versioned() {
    let db = TestDb::create().await;
    let app = TestApp::builder().database_url(&db.url).start().await;
    let other = beside(&db).await;
    let token = app.admin_token().await;
    let unset = get(&app, &token, "/release").await;
    assert_eq!((&unset.data()["version"], unset.data().get("changed_at")), (&json!(0), None));
    let configured = app.get(RELEASE).send().await.data();
    assert_eq!(unset.data()["platforms"], configured["platforms"]);

    let seen = unset.header("etag").to_owned();
    let change = |version: &str| {
        let request = app.request(Method::PUT, &format!("{SETTINGS}/release")).bearer(&token);
        request.json(ios("1.9.0", version)).header("if-match", &seen).send()
    };
    let first = change("1.10.0").await;
    assert_eq!(first.data()["version"], 1);
    change("1.11.0").await.assert_error(412, "precondition_failed");
    assert_eq!(get(&app, &token, "/release").await.header("etag"), first.header("etag"));
    let told = app.get(RELEASE).send().await.data();
    assert_eq!(told["platforms"], ios("1.9.0", "1.10.0")["platforms"], "here at once");
    wait(async || {
        let told = other.get(RELEASE).send().await.data();
        (told["platforms"] == ios("1.9.0", "1.10.0")["platforms"]).then_some(())
    })
    .await;

    app.clock.advance(TimeDelta::minutes(1));
    put(&app, &token, "/release", ios("1.10.0", "2.0.0")).await.data();
    let history = get(&app, &token, "/release/history").await.data();
    let versions: Vec<&Value> =
        history["items"].as_array().expect("a list").iter().map(|item| &item["version"]).collect();
    assert_eq!(versions, [&json!(2), &json!(1)]);
    assert_eq!(history["items"][1]["value"], ios("1.9.0", "1.10.0"));
    let log = app.get("/api/v1/backoffice/audit-logs?subject=setting:release").bearer(&token);
    let log = log.send().await.data();
    assert_eq!(log["items"][0]["before"], ios("1.9.0", "1.10.0"));
    assert_eq!(log["items"][0]["after"], ios("1.10.0", "2.0.0"));

    let bad = json!({"platforms": [
        ios("1.0.0", "2.0.0")["platforms"][0], ios("2.0.0", "1.10.0")["platforms"][0]
    ]});
    let faults = put(&app, &token, "/release", bad).await.faults();
    let expected =
        [("platforms[1].platform", "repeated"), ("platforms[1].minimum_version", "order")];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
    app.clock.advance(TimeDelta::minutes(16));
    let late = put(&app, &token, "/release", ios("1.0.0", "2.0.0")).await;
    late.assert_error(403, "step_up_required");
}

#[tokio::test]
async fn two_who_set_at_once_lose_nothing() {
    let app = TestApp::start().await;
    let token = app.admin_token().await;
    let all = futures_util::future::join_all((0..8).map(|number| {
        let (app, token) = (&app, &token);
        async move { put(app, token, "/release", ios("1.0.0", &format!("1.0.{number}"))).await }
    }));
    let all = all.await;
    let done = all.iter().filter(|answer| answer.status == 200).count();
    let refused = all.iter().filter(|answer| answer.status == 412).count();
    assert!(done >= 1 && done + refused == 8);
    let history = get(&app, &token, "/release/history").await.data();
    assert_eq!(history["items"].as_array().map(Vec::len), Some(done));
}

#[tokio::test]
async fn maintenance_closes_the_client_api_and_nothing_else() {
    let db = TestDb::create().await;
    let mut app = TestApp::builder().database_url(&db.url).start().await;
    let other = beside(&db).await;
    let token = app.admin_token().await;
    let user = app.user_token("ada@example.com").await;
    put(&app, &token, "/maintenance", closed("We are back at ten.")).await.data();
    let me = async |app: &TestApp| app.get("/api/v1/users/me").bearer(&user).send().await;
    let refused = me(&app).await;
    let error = refused.assert_error(503, "maintenance");
    assert_eq!(
        (&error["message"], refused.header("retry-after")),
        (&json!("We are back at ten."), "600")
    );
    let login = app.post("/api/v1/auth/login", json!({})).send().await;
    login.assert_error(503, "maintenance");
    wait(async || (me(&other).await.status == 503).then_some(())).await;
    for path in ["/api/v1/config/health", RELEASE, "/health/ready"] {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
    get(&app, &token, "/maintenance").await.data();
    let open = json!({"enabled": false, "retry_after_seconds": 1});
    put(&app, &token, "/maintenance", open).await.data();
    me(&app).await.data();
    wait(async || (me(&other).await.status != 503).then_some(())).await;
    let without = json!({"enabled": true, "retry_after_seconds": 5});
    put(&app, &token, "/maintenance", without).await.data();
    let error = me(&app).await.assert_error(503, "maintenance");
    assert_eq!(error["message"], "The service is closed for maintenance. Try again later.");
    for (body, fault) in [
        (json!({"enabled": true, "retry_after_seconds": 0}), ("retry_after_seconds", "too_small")),
        (json!({"enabled": true}), ("retry_after_seconds", "required")),
    ] {
        let faults = put(&app, &token, "/maintenance", body).await.faults();
        assert_eq!(faults, [(fault.0.to_owned(), fault.1.to_owned())]);
    }
}

#[tokio::test]
async fn a_change_is_seen_whether_it_is_told_or_not() {
    let db = TestDb::create().await;
    let app = TestApp::builder().database_url(&db.url).start().await;
    app.get(RELEASE).send().await.data();
    let client = connect(&db.url).await;
    let insert = |version: u32| {
        format!(
            "INSERT INTO setting_versions (id, name, version, value, created_at, updated_at)
             VALUES (gen_random_uuid(), 'release', {version}, jsonb_build_object('platforms',
                     jsonb_build_array(jsonb_build_object('platform', 'p{version}', 'minimum_version', '1.0.0',
                     'latest_version', '1.0.0', 'force_upgrade', false))), now(), now());"
        )
    };
    let seen = async |version: u32| {
        wait(async || {
            let told = app.get(RELEASE).send().await.data();
            (told["platforms"][0]["platform"] == format!("p{version}")).then_some(())
        })
        .await;
    };
    client.batch_execute(&insert(1)).await.expect("inserted");
    seen(1).await;
    // Without a word, and while all connections are lost.
    let silent = "ALTER TABLE setting_versions DISABLE TRIGGER tell_changed";
    client.batch_execute(silent).await.expect("silent");
    client.batch_execute(&insert(2)).await.expect("inserted");
    seen(2).await;
    let lose = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid();";
    client.batch_execute(&format!("{lose}{}", insert(3))).await.expect("inserted");
    seen(3).await;
}

#[tokio::test]
async fn nobody_who_asks_waits_for_a_statement() {
    let statements = Statements::watch();
    let app = Statements::app().start().await;
    app.get(RELEASE).send().await.data();
    for _ in 0..3 {
        let (count, told) = statements.of(app.get(RELEASE).send()).await;
        assert_eq!((count, told.status), (0, 200));
        app.clock.advance(TimeDelta::minutes(1));
    }
}
