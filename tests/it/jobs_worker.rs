//! What a worker does about jobs that are not as they should be.

use chrono::TimeDelta;
use diesel_async::SimpleAsyncConnection;
use serde_json::Value;
use tokio_postgres::Client;
use twofold::{
    db::Origin,
    jobs::Registry,
    services::jobs::{Missed, Order, Schedule, control},
};
use uuid::Uuid;

use crate::{
    jobs::{Do, Long, act, begin, builder, client, enqueue, until_state},
    support::{TestApp, wait},
};

/// Stores a job and, before any worker sees it, does something to its row.
async fn enqueue_and(app: &TestApp, order: Order, change: &str) -> Uuid {
    let mut tx = begin(app).await;
    let stored = app.core.jobs.enqueue_all(&app.core, &mut tx, vec![order]).await.expect("stored");
    let sql = format!("UPDATE jobs SET {change} WHERE id = '{}'", stored[0]);
    tx.batch_execute(&sql).await.expect("changed");
    tx.commit().await.expect("committed");
    stored[0]
}

/// How much later one began than the other.
async fn between(db: &Client, first: Uuid, second: Uuid) -> TimeDelta {
    let sql = "SELECT (extract(epoch FROM b.started_at - a.started_at) * 1000)::bigint
         FROM jobs AS a, jobs AS b WHERE a.id = $1::text::uuid AND b.id = $2::text::uuid";
    let row = db.query_one(sql, &[&first.to_string(), &second.to_string()]).await;
    TimeDelta::milliseconds(row.expect("both").get(0))
}

#[tokio::test]
async fn what_ran_when_a_worker_died_runs_alone() {
    let app = builder().start().await;
    let db = client(&app).await;
    // Until its time is up.
    let slow = Order::of(&act(Do::Sleep)).expect("an order");
    let suspect = enqueue_and(&app, slow, "is_suspect = true").await;
    until_state(&db, suspect, "running").await;
    let other = enqueue(&app, &act(Do::Succeed(Value::Null))).await;
    until_state(&db, other, "succeeded").await;
    let between = between(&db, suspect, other).await;
    assert!(between >= TimeDelta::milliseconds(300), "{between}");
}

#[tokio::test]
async fn a_kind_that_only_a_newer_version_knows_is_left_for_it() {
    let app = builder().start().await;
    let db = client(&app).await;
    let order = Order::of(&act(Do::Succeed(Value::Null))).expect("an order");
    let id = enqueue_and(&app, order, "kind = 'test.newer'").await;
    let told = wait(async || {
        let sql = "SELECT state, last_error FROM jobs WHERE id = $1::text::uuid AND attempts = 1";
        let row = db.query_opt(sql, &[&id.to_string()]).await.expect("asked")?;
        Some((row.get::<_, String>(0), row.get::<_, Option<String>>(1)?))
    })
    .await;
    assert_eq!(told, ("waiting".to_owned(), "of an unknown kind".to_owned()));
}

#[tokio::test]
async fn what_is_to_end_is_not_tried_again() {
    let app = builder().setting("TWOFOLD_JOBS__HEARTBEAT_MS", "100").start().await;
    let db = client(&app).await;
    let id = enqueue(&app, &Long(act(Do::FailLate))).await;
    until_state(&db, id, "running").await;
    control::cancel(&app.core, &Origin::system("test"), id).await.expect("asked to end");
    let (attempts, error) = until_state(&db, id, "cancelled").await;
    assert_eq!((attempts, error.as_deref()), (1, Some("not yet")));
}

/// The database has given a job to a worker, and the worker has not got the answer.
#[tokio::test]
async fn a_job_whose_worker_doesn_t_know_of_it_is_given_back() {
    let app = builder().setting("TWOFOLD_JOBS__HEARTBEAT_MS", "100").start().await;
    let db = client(&app).await;
    let sql = "SELECT id FROM job_workers";
    wait(async || db.query_opt(sql, &[]).await.expect("asked").map(drop)).await;
    let order = Order::of(&act(Do::Succeed(Value::Null))).expect("an order");
    let taken = "state = 'running', attempts = 1, lease = 1, started_at = now(),
        worker_id = (SELECT id FROM job_workers)";
    let id = enqueue_and(&app, order, taken).await;
    let (attempts, _) = until_state(&db, id, "succeeded").await;
    assert_eq!(attempts, 1, "the lost one doesn't count");
}

#[tokio::test]
async fn a_schedule_that_is_off_misses_its_ticks_for_good() {
    let hourly = |name| {
        let job = Long(act(Do::Succeed(Value::from(name))));
        Schedule::new(name, "0 * * * *", job).missed(Missed::All)
    };
    let registry = Registry::default().schedule::<Long>(hourly("a")).schedule::<Long>(hourly("b"));
    let app = TestApp::builder().jobs(registry).start().await;
    let db = client(&app).await;
    let ticks = async |of: &str| -> i64 {
        let sql = "SELECT count(*) FROM jobs WHERE result #>> '{}' = $1";
        db.query_one(sql, &[&of]).await.expect("counted").get(0)
    };
    let known = "SELECT name FROM job_schedules WHERE name = 'b'";
    wait(async || db.query_opt(known, &[]).await.expect("asked").map(drop)).await;
    let origin = Origin::system("test");
    let turn =
        async |on| control::set_schedule_enabled(&app.core, &origin, "a", on).await.map(drop);
    turn(false).await.expect("turned off");
    app.clock.advance(TimeDelta::hours(3));
    // It is seen to after the other one, were that on.
    wait(async || (ticks("b").await == 3).then_some(())).await;
    assert_eq!(ticks("a").await, 0);
    turn(true).await.expect("turned on");
    app.clock.advance(TimeDelta::hours(1));
    wait(async || (ticks("b").await == 4).then_some(())).await;
    wait(async || (ticks("a").await > 0).then_some(())).await;
    assert_eq!(ticks("a").await, 1);
}
