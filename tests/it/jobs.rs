//! Jobs: stored with the change that asks for them, done afterwards, whatever happens.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Client;
use twofold::{
    db::{Origin, Tx},
    jobs::{Context, Handler, JobError, Registry},
    services::jobs::{Event, Job, Order, control},
};
use uuid::Uuid;

use crate::support::{TestApp, app::Builder, cluster::connect, wait};

/// What jobs of these tests do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Do {
    Succeed(Value),
    /// Until this try.
    FailUntil(i32),
    GiveUp,
    /// When it is asked to end, and wants to be tried again.
    FailLate,
    Panic,
    /// Wait until it is to end; say so, or not.
    Wait {
        polite: bool,
    },
    Sleep,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Act {
    pub what: Do,
    #[serde(default)]
    key: Option<String>,
}

impl Job for Act {
    const KIND: &'static str = "test.act";
    const MAX_ATTEMPTS: i32 = 3;
    const TIME_LIMIT: Duration = Duration::from_millis(300);

    fn unique_key(&self) -> Option<String> {
        self.key.clone()
    }
}

impl Handler for Act {
    type Output = Value;

    async fn run(self, context: Context) -> Result<Value, JobError> {
        match self.what {
            Do::Succeed(value) => Ok(value),
            Do::FailUntil(attempt) if context.attempt < attempt => {
                Err(JobError::retry(format!("try {} failed", context.attempt)))
            }
            Do::FailUntil(_) => Ok(json!(context.attempt)),
            Do::GiveUp => Err(JobError::fail("it makes no sense")),
            Do::FailLate => {
                context.cancelled().cancelled().await;
                Err(JobError::retry("not yet"))
            }
            Do::Panic => panic!("on purpose"),
            Do::Wait { polite } => {
                context.progress(30, "waiting");
                if polite {
                    context.cancelled().cancelled().await;
                    return Err(JobError::Cancelled);
                }
                std::future::pending().await
            }
            Do::Sleep => std::future::pending().await,
        }
    }
}

/// As [`Act`], for as long as it likes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Long(pub Act);

impl Job for Long {
    const KIND: &'static str = "test.long";
    const QUEUE: &'static str = "long";
}

impl Handler for Long {
    type Output = Value;

    async fn run(self, context: Context) -> Result<Value, JobError> {
        self.0.run(context).await
    }
}

pub fn act(what: Do) -> Act {
    Act { what, key: None }
}

fn registry() -> Registry {
    Registry::default().handle::<Act>().handle::<Long>()
}

pub fn builder() -> Builder {
    TestApp::builder().jobs(registry())
}

pub async fn begin(app: &TestApp) -> Tx {
    app.core.db.begin(&Origin::system("test")).await.expect("a transaction")
}

pub async fn enqueue<J: Job>(app: &TestApp, job: &J) -> Uuid {
    let mut tx = begin(app).await;
    let id = app.core.jobs.enqueue(&app.core, &mut tx, job).await.expect("stored");
    tx.commit().await.expect("committed");
    id.expect("no other one has its key")
}

pub async fn client(app: &TestApp) -> Client {
    connect(app.database_url()).await
}

/// State, attempts and last error.
async fn state(db: &Client, id: Uuid) -> (String, i32, Option<String>) {
    let sql = "SELECT state, attempts, last_error FROM jobs WHERE id = $1::text::uuid";
    let row = db.query_one(sql, &[&id.to_string()]).await.expect("one job");
    (row.get(0), row.get(1), row.get(2))
}

pub async fn until_state(db: &Client, id: Uuid, wanted: &str) -> (i32, Option<String>) {
    wait(async || {
        let (state, attempts, error) = state(db, id).await;
        (state == wanted).then_some((attempts, error))
    })
    .await
}

#[tokio::test]
async fn a_job_is_there_if_and_only_if_its_transaction_commits() {
    let app = builder().start().await;
    let db = client(&app).await;
    let mut tx = begin(&app).await;
    let job = act(Do::Succeed(json!({"n": 1})));
    app.core.jobs.enqueue(&app.core, &mut tx, &job).await.expect("stored");
    drop(tx);
    let id = enqueue(&app, &job).await;
    assert_eq!(until_state(&db, id, "succeeded").await, (1, None));
    let count = db.query_one("SELECT count(*) FROM jobs", &[]).await.expect("counted");
    assert_eq!(count.get::<_, i64>(0), 1);
    let (job, attempts) = control::get(&app.core, id).await.expect("there");
    assert_eq!((job.result, job.progress), (Some(json!({"n": 1})), 100));
    assert!(attempts.is_empty());
}

#[tokio::test]
async fn what_fails_is_tried_again_later_until_it_succeeds_or_has_no_try_left() {
    let app = builder().start().await;
    let db = client(&app).await;
    let (good, bad) =
        (enqueue(&app, &act(Do::FailUntil(3))).await, enqueue(&app, &act(Do::FailUntil(9))).await);
    for attempt in 1..3 {
        for id in [good, bad] {
            wait(async || {
                let found = state(&db, id).await;
                let expected =
                    ("waiting".to_owned(), attempt, Some(format!("try {attempt} failed")));
                (found == expected).then_some(())
            })
            .await;
        }
        // Not before its pause is over, which is about 10, then 20 seconds.
        app.clock.advance(TimeDelta::seconds(8 * i64::from(attempt)));
        tokio::time::sleep(Duration::from_millis(50)).await;
        app.core.jobs.waker.wake();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(state(&db, good).await.1, attempt);
        app.clock.advance(TimeDelta::seconds(5 * i64::from(attempt)));
        app.core.jobs.waker.wake();
    }
    assert_eq!(until_state(&db, good, "succeeded").await.0, 3);
    let (attempts, error) = until_state(&db, bad, "failed").await;
    assert_eq!((attempts, error.as_deref()), (3, Some("try 3 failed")));
    let (job, tries) = control::get(&app.core, bad).await.expect("there");
    assert!(job.finished_at.is_some());
    let told: Vec<_> = tries.iter().map(|one| (one.attempt, one.error.as_deref())).collect();
    let expected =
        [(3, Some("try 3 failed")), (2, Some("try 2 failed")), (1, Some("try 1 failed"))];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn giving_up_panics_and_time_limits_are_told_apart() {
    let app = builder().start().await;
    let db = client(&app).await;
    let given_up = enqueue(&app, &act(Do::GiveUp)).await;
    let panicked = enqueue(&app, &act(Do::Panic)).await;
    let slow = enqueue(&app, &act(Do::Sleep)).await;
    let (attempts, error) = until_state(&db, given_up, "failed").await;
    assert_eq!((attempts, error.as_deref()), (1, Some("it makes no sense")));
    let told = async |id, expected: &str| {
        wait(async || {
            let (state, attempts, error) = state(&db, id).await;
            (state == "waiting" && attempts == 1 && error.as_deref() == Some(expected))
                .then_some(())
        })
        .await;
    };
    told(panicked, "it panicked").await;
    told(slow, "it took longer than 300ms").await;
    // The numbers are also there for Prometheus.
    let metrics = app.core.metrics.render().await.expect("written");
    for line in [
        "twofold_jobs{queue=\"default\",state=\"failed\"} 1",
        "twofold_jobs{queue=\"default\",state=\"scheduled\"} 2",
        "twofold_jobs_ended_last_hour{queue=\"default\",state=\"failed\"} 1",
        "twofold_job_workers 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (_, tries) = control::get(&app.core, slow).await.expect("there");
    assert_eq!(format!("{:?}", tries[0].outcome), "TimedOut");
}

#[tokio::test]
async fn of_one_key_one_job_waits_or_runs() {
    let app = builder().setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await;
    let job = Act { what: Do::GiveUp, key: Some("only one".to_owned()) };
    let first = enqueue(&app, &job).await;
    let mut tx = begin(&app).await;
    let second = app.core.jobs.enqueue(&app.core, &mut tx, &job).await.expect("asked");
    assert_eq!(second, None);
    let other = Order::of(&job).expect("an order").unique("another");
    let stored = app.core.jobs.enqueue_all(&app.core, &mut tx, vec![other.clone(), other]).await;
    assert_eq!(stored.expect("stored").len(), 1);
    tx.commit().await.expect("committed");
    let origin = Origin::system("test");
    control::cancel(&app.core, &origin, first).await.expect("cancelled");
    let third = enqueue(&app, &job).await;
    // The first can't come back beside it.
    let refused = control::retry(&app.core, &origin, first).await.expect_err("a conflict");
    assert_eq!(refused.code.identifier(), "job_in_other_state");
    control::discard(&app.core, &origin, third).await.expect("discarded");
    control::retry(&app.core, &origin, first).await.expect("waits again");
}

#[tokio::test]
async fn a_running_job_tells_how_far_it_is_and_can_be_cancelled() {
    let app = builder().setting("TWOFOLD_JOBS__HEARTBEAT_MS", "100").start().await;
    let db = client(&app).await;
    let polite = enqueue(&app, &Long(act(Do::Wait { polite: true }))).await;
    let origin = Origin::system("test");
    wait(async || {
        let (job, _) = control::get(&app.core, polite).await.expect("there");
        (job.progress == 30 && job.message.as_deref() == Some("waiting")).then_some(())
    })
    .await;
    control::cancel(&app.core, &origin, polite).await.expect("asked to end");
    until_state(&db, polite, "cancelled").await;
    let refused = control::cancel(&app.core, &origin, polite).await.expect_err("it has ended");
    assert_eq!(refused.code.identifier(), "job_in_other_state");
    // What waits is cancelled at once.
    let mut tx = begin(&app).await;
    let later = Order::of(&act(Do::GiveUp)).expect("an order").at(tx.now + TimeDelta::hours(1));
    let stored = app.core.jobs.enqueue_all(&app.core, &mut tx, vec![later]).await.expect("stored");
    tx.commit().await.expect("committed");
    control::cancel(&app.core, &origin, stored[0]).await.expect("cancelled");
    assert_eq!(state(&db, stored[0]).await.0, "cancelled");
}

#[tokio::test]
async fn a_paused_queue_waits_and_others_go_on() {
    let app = builder().start().await;
    let db = client(&app).await;
    let origin = Origin::system("test");
    control::set_paused(&app.core, &origin, "long", true).await.expect("paused");
    let waiting = enqueue(&app, &Long(act(Do::Succeed(Value::Null)))).await;
    let other = enqueue(&app, &act(Do::Succeed(Value::Null))).await;
    until_state(&db, other, "succeeded").await;
    app.core.jobs.waker.wake();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(state(&db, waiting).await.0, "waiting");
    control::set_paused(&app.core, &origin, "long", false).await.expect("resumed");
    until_state(&db, waiting, "succeeded").await;
}

#[tokio::test]
async fn what_a_stopping_worker_can_not_finish_is_given_back_without_a_charge() {
    let app = builder().setting("TWOFOLD_SERVER__DRAIN_TIMEOUT_MS", "100").start().await;
    let db = client(&app).await;
    let id = enqueue(&app, &Long(act(Do::Wait { polite: false }))).await;
    until_state(&db, id, "running").await;
    let mut app = app;
    app.stop_background().await;
    assert_eq!(state(&db, id).await, ("waiting".to_owned(), 0, None));
    let workers = db.query_one("SELECT count(*) FROM job_workers", &[]).await.expect("counted");
    assert_eq!(workers.get::<_, i64>(0), 0);
}

struct Happened(u32);

impl Event for Happened {
    const NAME: &'static str = "test.happened";
}

#[tokio::test]
async fn who_has_subscribed_to_an_event_reacts_in_the_same_commit() {
    let registry = registry().on::<Happened, Act>(|event| act(Do::Succeed(json!(event.0))));
    let app = TestApp::builder().jobs(registry).start().await;
    let db = client(&app).await;
    for commits in [false, true] {
        let mut tx = begin(&app).await;
        app.core.jobs.publish(&app.core, &mut tx, &Happened(7)).await.expect("published");
        if commits {
            tx.commit().await.expect("committed");
        }
    }
    let rows = db.query("SELECT id::text FROM jobs", &[]).await.expect("asked");
    assert_eq!(rows.len(), 1);
    let id: Uuid = rows[0].get::<_, &str>(0).parse().expect("an id");
    until_state(&db, id, "succeeded").await;
    let (job, _) = control::get(&app.core, id).await.expect("there");
    assert_eq!((job.result, job.request_id.as_str()), (Some(json!(7)), "test"));
}
