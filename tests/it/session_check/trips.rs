//! What the check of a session costs: statements, and trips to Redis.

use super::*;
use crate::support::statements::Statements;

/// How often Redis was asked for a session.
async fn asked(redis: &Redis) -> usize {
    let stats: String = redis.ask("INFO", &["commandstats"]).await;
    let calls = stats.split("cmdstat_get:calls=").nth(1).and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

#[tokio::test]
async fn a_known_session_takes_no_statement_and_at_most_one_trip_to_redis() {
    let statements = Statements::watch();
    let (redis, db) = (Redis::start().await, TestDb::create().await);
    let a = process(&db, Some(&redis), Statements::app()).start().await;
    let admin = a.admin_token().await;
    // Who has heard of somebody's new roles reads their sessions for a while.
    let b = process(&db, Some(&redis), Statements::app()).start().await;
    is_well(&a).await;
    is_well(&b).await;
    let email = add_user(&a, &db).await;
    let user = token(&a, &email).await;
    for (surface, path, token) in [("client", WHO, &user), ("backoffice", STAFF_WHO, &admin)] {
        let who = async |app: &TestApp, expected: usize, trips: usize| {
            let before = asked(&redis).await;
            let (count, status) = statements.of(status(app, path, token)).await;
            assert_eq!((count, status), (expected, 200), "{path}");
            assert_eq!(asked(&redis).await - before, trips, "{path}");
        };
        who(&a, 1, 1).await;
        who(&a, 0, 0).await;
        // The other process has it from Redis, once that has it.
        let sid = match surface {
            "client" => claims(&a, token).sid,
            _ => a.core.staff_sessions.authenticate(&a.core, token).await.expect("open").claims.sid,
        };
        let key = format!("twofold:test:session:{surface}:{sid}");
        wait(async || (redis.ask::<i64>("EXISTS", &[&key]).await == 1).then_some(())).await;
        who(&b, 0, 1).await;
        who(&b, 0, 0).await;
        // What it knows itself it knows for a second.
        b.clock.advance(TimeDelta::seconds(1));
        hears(&b).await;
        who(&b, 0, 1).await;
        // Nobody's Redis but ours is needed.
        let () = redis.ask("FLUSHALL", &[]).await;
        b.clock.advance(TimeDelta::seconds(1));
        hears(&b).await;
        who(&b, 1, 1).await;
        who(&b, 0, 0).await;
    }
    // Where time has passed, it takes one more.
    let me = async |path: &str, token: &str| {
        status(&a, path, token).await;
        let mut least = statements.of(status(&a, path, token)).await;
        for _ in 0..3 {
            least = least.min(statements.of(status(&a, path, token)).await);
        }
        least
    };
    assert_eq!(me("/api/v1/users/me", &user).await, (1, 200));
    assert_eq!(me("/api/v1/backoffice/auth/me", &admin).await, (1, 200));
    assert_eq!(me("/api/v1/auth/sessions", &user).await, (1, 200));
    assert_eq!(me("/api/v1/backoffice/users", &admin).await, (2, 200));
}

#[tokio::test]
async fn without_redis_it_is_the_same_in_one_process() {
    let statements = Statements::watch();
    let db = TestDb::create().await;
    let app = process(&db, None, Statements::app()).start().await;
    hears(&app).await;
    let email = add_user(&app, &db).await;
    let token = token(&app, &email).await;
    assert_eq!(statements.of(status(&app, WHO, &token)).await, (1, 200));
    for _ in 0..3 {
        app.clock.advance(TimeDelta::seconds(1));
        hears(&app).await;
        assert_eq!(statements.of(status(&app, WHO, &token)).await, (0, 200));
    }
    // Its cache keeps things for a minute.
    app.clock.advance(TimeDelta::minutes(1));
    hears(&app).await;
    assert_eq!(statements.of(status(&app, WHO, &token)).await, (1, 200));
}

#[tokio::test]
async fn a_known_impersonation_takes_no_statement_either() {
    let statements = Statements::watch();
    let db = TestDb::create().await;
    let app = process(&db, None, Statements::app()).start().await;
    hears(&app).await;
    let (email, admin) = (add_user(&app, &db).await, app.admin_token().await);
    let path = format!("/api/v1/backoffice/users?q={email}");
    let found = app.get(&path).bearer(&admin).send().await.data();
    let path = format!("/api/v1/backoffice/users/{}/impersonate", text(&found["items"][0]["id"]));
    let body = json!({"reason": "Just a test."});
    let token = app.post(&path, body).bearer(&admin).send().await.data();
    let token = text(&token["access_token"]);
    assert_eq!(statements.of(status(&app, WHO, &token)).await, (1, 200));
    assert_eq!(statements.of(status(&app, WHO, &token)).await, (0, 200));
}

#[tokio::test]
async fn a_bus_that_hears_nothing_costs_a_statement_a_second_and_no_trip() {
    let statements = Statements::watch();
    let (redis, db) = (Redis::start().await, TestDb::create().await);
    let mut app = process(&db, Some(&redis), Statements::app()).start().await;
    is_well(&app).await;
    let email = add_user(&app, &db).await;
    let token = token(&app, &email).await;
    assert_eq!(statements.of(status(&app, WHO, &token)).await, (1, 200));
    app.stop_background().await;
    app.clock.advance(TimeDelta::seconds(1));
    let before = asked(&redis).await;
    assert_eq!(statements.of(status(&app, WHO, &token)).await, (1, 200));
    assert_eq!(statements.of(status(&app, WHO, &token)).await, (0, 200));
    assert_eq!(asked(&redis).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_a_proof_counts_in_all_processes_at_once() {
    let stage = Stage::set().await;
    let token = token(&stage.a, &stage.user().await).await;
    stage.assert_open(WHO_RECENT, &token).await;
    stage.advance(TimeDelta::minutes(16));
    stage.well().await;
    stage.assert_open(WHO, &token).await;
    for app in [&stage.a, &stage.b] {
        let refused = app.get(WHO_RECENT).bearer(&token).send().await;
        refused.assert_error(403, "step_up_required");
    }
    let proof = stage.a.post("/api/v1/auth/step-up", json!({"password": PASSWORD}));
    proof.bearer(&token).send().await.data();
    stage.assert_open(WHO_RECENT, &token).await;
}
