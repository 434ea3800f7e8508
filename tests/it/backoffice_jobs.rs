//! Jobs, queues and schedules, as staff see and change them.

use chrono::TimeDelta;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use twofold::{
    db::Origin,
    jobs::{Context, Handler, JobError, Registry},
    services::jobs::{Job, Missed, Order, Schedule},
};
use uuid::Uuid;

use crate::support::{TestApp, app::Builder, wait};

const JOBS: &str = "/api/v1/backoffice/jobs";
const QUEUES: &str = "/api/v1/backoffice/queues";
const SCHEDULES: &str = "/api/v1/backoffice/schedules";
const NOBODY: &str = "01975b2e-7c40-7000-8000-000000000001";

/// Succeeds, unless it is to fail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    pub fails: bool,
    pub api_token: String,
}

impl Job for Report {
    const KIND: &'static str = "test.report";
    const QUEUE: &'static str = "reports";
}

impl Handler for Report {
    type Output = Value;

    async fn run(self, _: Context) -> Result<Value, JobError> {
        if self.fails {
            return Err(JobError::fail("<b>no</b> paper"));
        }
        Ok(json!({"pages": 2, "password": "x"}))
    }
}

/// Waits until it is to end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endless;

impl Job for Endless {
    const KIND: &'static str = "test.endless";

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

impl Handler for Endless {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        context.progress(30, "on and on");
        context.cancelled().cancelled().await;
        Err(JobError::Cancelled)
    }
}

pub fn report(fails: bool) -> Report {
    Report { fails, api_token: "a secret".to_owned() }
}

pub fn builder() -> Builder {
    let daily = Schedule::new("daily", "30 2 * * *", report(false)).missed(Missed::Skip);
    let hourly = Schedule::new("endless", "0 * * * *", Endless);
    TestApp::builder()
        .jobs(Registry::default().schedule::<Report>(daily).schedule::<Endless>(hourly))
}

/// With nobody who works.
fn idle() -> Builder {
    builder().setting("TWOFOLD_JOBS__IN_PROCESS", "false")
}

pub async fn enqueue<J: Job>(app: &TestApp, job: &J) -> String {
    let mut tx = app.core.db.begin(&Origin::system("test")).await.expect("a transaction");
    let stored = app.core.jobs.enqueue(&app.core, &mut tx, job).await.expect("stored");
    tx.commit().await.expect("committed");
    stored.expect("no other one has its key").to_string()
}

struct Staff {
    app: TestApp,
    token: String,
}

impl Staff {
    async fn of(builder: Builder) -> Self {
        let app = builder.start().await;
        let token = app.admin_token().await;
        Self { app, token }
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(path).bearer(&self.token).send().await.data()
    }

    async fn send(&self, method: Method, path: &str) -> crate::support::http::Answer {
        self.app.request(method, path).bearer(&self.token).send().await
    }

    async fn post(&self, path: &str) -> crate::support::http::Answer {
        self.send(Method::POST, path).await
    }

    /// The identifiers of those that a list holds.
    async fn listed(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("{JOBS}?{query}")).await;
        let items = page["items"].as_array().expect("a list");
        items.iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
    }

    async fn until(&self, id: &str, state: &str) -> Value {
        wait(async || {
            let job = self.get(&format!("{JOBS}/{id}")).await;
            (job["state"] == state).then_some(job)
        })
        .await
    }

    async fn queue(&self, name: &str) -> Value {
        let overview = self.get(QUEUES).await;
        let queues = overview["queues"].as_array().expect("a list");
        queues.iter().find(|queue| queue["name"] == name).expect("listed").clone()
    }
}

#[tokio::test]
async fn jobs_are_found_by_what_they_are() {
    let staff = Staff::of(idle()).await;
    let app = &staff.app;
    let first = enqueue(app, &report(false)).await;
    app.clock.advance(TimeDelta::minutes(20));
    let second = enqueue(app, &Endless).await;
    let third = enqueue(app, &report(true)).await;
    assert_eq!(staff.post(&format!("{JOBS}/{third}/cancel")).await.status, 200);

    let all = staff.get(JOBS).await;
    assert_eq!((&all["total"], &all["last_page"]), (&json!(3), &json!(1)));
    assert!(all["items"][0].get("payload").is_none(), "lists are short: {all}");
    for (query, expected) in [
        ("sort=created_at", vec![&first, &second, &third]),
        ("state=cancelled", vec![&third]),
        ("queue=reports&sort=created_at", vec![&first, &third]),
        ("kind=test.endless", vec![&second]),
        ("queue=reports&kind=test.endless", vec![]),
        ("q=test&sort=created_at", vec![&first, &second, &third]),
        (&format!("q={second}"), vec![&second]),
        (&format!("q={NOBODY}"), vec![]),
        ("q=tes", vec![]),
        ("sort=created_at&per_page=1&page=2", vec![&second]),
    ] {
        assert_eq!(staff.listed(query).await, expected.into_iter().cloned().collect::<Vec<_>>());
    }
    let time = (app.clock.now() - TimeDelta::minutes(10)).format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(staff.listed(&format!("created_to={time}")).await, [first]);
    assert_eq!(staff.listed(&format!("created_from={time}&state=waiting")).await, [second]);
    // A cursor goes on where the page before has ended, with the same filters only.
    let page = staff.get(&format!("{JOBS}?queue=reports&per_page=1&sort=created_at")).await;
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let next = format!("queue=reports&per_page=1&sort=created_at&cursor={cursor}");
    assert_eq!(staff.listed(&next).await, [third]);
    let other = app.get(&format!("{JOBS}?per_page=1&sort=created_at&cursor={cursor}"));
    let faults = other.bearer(&staff.token).send().await.faults();
    assert_eq!(faults, [("cursor".to_owned(), "invalid_cursor".to_owned())]);
}

#[tokio::test]
async fn a_job_is_shown_with_its_tries_and_without_secrets() {
    let staff = Staff::of(builder()).await;
    let (good, bad) =
        (enqueue(&staff.app, &report(false)).await, enqueue(&staff.app, &report(true)).await);
    let good = staff.until(&good, "succeeded").await;
    assert_eq!(good["payload"], json!({"fails": false, "api_token": "[removed]"}));
    assert_eq!(good["result"], json!({"pages": 2, "password": "[removed]"}));
    assert_eq!((&good["progress"], &good["failed_tries"]), (&json!(100), &json!([])));
    assert_eq!((&good["request_id"], &good["priority"]), (&json!("test"), &json!("normal")));
    let bad = staff.until(&bad, "failed").await;
    assert!(bad.get("result").is_none() && bad["last_error"] == "<b>no</b> paper", "{bad}");
    let tries = bad["failed_tries"].as_array().expect("a list");
    assert_eq!(tries.len(), 1);
    assert_eq!((&tries[0]["attempt"], &tries[0]["outcome"]), (&json!(1), &json!("failed")));
    assert_eq!(
        (&tries[0]["error"], &tries[0]["worker_id"]),
        (&bad["last_error"], &bad["worker_id"])
    );
    staff.send(Method::GET, &format!("{JOBS}/{NOBODY}")).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn jobs_are_retried_cancelled_and_discarded_where_their_state_allows_it() {
    let staff = Staff::of(builder()).await;
    let (failed, endless) =
        (enqueue(&staff.app, &report(true)).await, enqueue(&staff.app, &Endless).await);
    staff.until(&failed, "failed").await;
    let running = staff.until(&endless, "running").await;
    let at = |id: &str, what: &str| format!("{JOBS}/{id}{what}");

    for (method, path) in [
        (Method::POST, at(&failed, "/cancel")),
        (Method::POST, at(&endless, "/retry")),
        (Method::DELETE, at(&endless, "")),
    ] {
        staff.send(method, &path).await.assert_error(409, "job_in_other_state");
    }
    assert_eq!(running["cancel_requested"], false);
    let asked = staff.post(&at(&endless, "/cancel")).await.data();
    assert_eq!((&asked["state"], &asked["cancel_requested"]), (&json!("running"), &json!(true)));
    staff.until(&endless, "cancelled").await;

    let retried = staff.post(&at(&failed, "/retry")).await.data();
    assert_eq!((&retried["state"], &retried["attempts"]), (&json!("waiting"), &json!(0)));
    let again = staff.until(&failed, "failed").await;
    assert_eq!(again["failed_tries"].as_array().map(Vec::len), Some(2), "{again}");

    assert_eq!(staff.send(Method::DELETE, &at(&failed, "")).await.status, 204);
    assert_eq!(staff.listed("queue=reports").await, [""; 0]);
    for (method, what) in [
        (Method::POST, "/retry"),
        (Method::POST, "/cancel"),
        (Method::DELETE, ""),
        (Method::GET, ""),
    ] {
        staff.send(method, &at(&failed, what)).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn what_was_given_up_is_retried_by_queue_and_kind() {
    let staff = Staff::of(builder()).await;
    let mut failed = Vec::new();
    for _ in 0..3 {
        failed.push(enqueue(&staff.app, &report(true)).await);
    }
    let good = enqueue(&staff.app, &report(false)).await;
    for id in &failed {
        staff.until(id, "failed").await;
    }
    staff.until(&good, "succeeded").await;
    assert_eq!(staff.queue("reports").await["failed"], 3);
    assert_eq!(staff.post(&format!("{QUEUES}/reports/pause")).await.status, 204);
    let retry = async |body: Value| {
        let request = staff.app.post(&format!("{JOBS}/retry-failed"), body);
        request.bearer(&staff.token).send().await.data()["retried"].clone()
    };
    assert_eq!(retry(json!({"queue": "default"})).await, 0);
    assert_eq!(retry(json!({"kind": "test.endless", "queue": "reports"})).await, 0);
    assert_eq!(retry(json!({"kind": "test.report"})).await, 3);
    assert_eq!(retry(json!({})).await, 0);
    assert_eq!(staff.listed("state=waiting").await.len(), 3);
    assert_eq!(staff.listed("state=succeeded").await, [good]);
}

#[tokio::test]
async fn queues_tell_what_they_hold_and_how_fast_they_are() {
    let staff = Staff::of(builder()).await;
    let app = &staff.app;
    let empty = staff.get(QUEUES).await;
    let names: Vec<_> = empty["queues"].as_array().expect("a list").iter().collect();
    assert_eq!(names.len(), 2);
    assert_eq!((&names[0]["name"], &names[1]["name"]), (&json!("default"), &json!("reports")));
    assert_eq!(names[1]["last_hour"], json!({"succeeded": 0, "failed": 0, "cancelled": 0}));
    assert_eq!(empty["throughput"], json!([]));

    let (good, bad) = (enqueue(app, &report(false)).await, enqueue(app, &report(true)).await);
    enqueue(app, &Endless).await;
    staff.until(&good, "succeeded").await;
    staff.until(&bad, "failed").await;
    assert_eq!(staff.post(&format!("{QUEUES}/reports/pause")).await.status, 204);
    enqueue(app, &report(false)).await;
    let mut tx = app.core.db.begin(&Origin::system("test")).await.expect("a transaction");
    let later = Order::of(&report(false)).expect("an order").at(tx.now + TimeDelta::hours(1));
    app.core.jobs.enqueue_all(&app.core, &mut tx, vec![later]).await.expect("stored");
    tx.commit().await.expect("committed");

    let reports = staff.queue("reports").await;
    let counts = ["due", "scheduled", "running", "failed"].map(|name| reports[name].clone());
    assert_eq!(counts, [1, 1, 0, 1].map(Value::from));
    assert!(reports["paused_at"].is_string() && reports["oldest_due_at"].is_string(), "{reports}");
    let hour = &reports["last_hour"];
    assert_eq!((&hour["succeeded"], &hour["failed"]), (&json!(1), &json!(1)));
    for name in ["wait_p50_ms", "wait_p95_ms", "run_p50_ms", "run_p95_ms"] {
        assert!(hour[name].as_f64().is_some_and(|ms| ms >= 0.0), "{name}: {hour}");
    }
    wait(async || (staff.queue("default").await["running"] == 1).then_some(())).await;
    let overview = staff.get(QUEUES).await;
    let ended: i64 = overview["throughput"].as_array().expect("a list").iter().map(ended).sum();
    assert_eq!(ended, 2);
    let workers = overview["workers"].as_array().expect("a list");
    assert_eq!((workers.len(), &workers[0]["is_silent"]), (1, &json!(false)));
    assert_eq!(workers[0]["pid"], std::process::id());

    assert_eq!(staff.post(&format!("{QUEUES}/reports/resume")).await.status, 204);
    wait(async || (staff.queue("reports").await["due"] == 0).then_some(())).await;
    for what in ["pause", "resume"] {
        let unknown = staff.post(&format!("{QUEUES}/nothing/{what}")).await;
        unknown.assert_error(404, "not_found");
    }
}

fn ended(minute: &Value) -> i64 {
    minute["succeeded"].as_i64().unwrap_or(0) + minute["others"].as_i64().unwrap_or(0)
}

#[tokio::test]
async fn a_worker_that_says_nothing_is_told_so() {
    let staff = Staff::of(idle().setting("TWOFOLD_JOBS__HEARTBEAT_MS", "1000")).await;
    let database = crate::support::cluster::connect(staff.app.database_url()).await;
    let sql = "INSERT INTO job_workers VALUES
        (gen_random_uuid(), 'one', 1, 5, 0, now() - interval '1.5 s', now(), now()),
        (gen_random_uuid(), 'two', 2, 5, 0, now() - interval '1 h', now(), now() + interval '1 s')";
    database.batch_execute(sql).await.expect("inserted");
    let overview = staff.get(QUEUES).await;
    let silent = |host: &str| {
        let workers = overview["workers"].as_array().expect("a list");
        workers.iter().find(|worker| worker["host"] == host).expect("listed")["is_silent"].clone()
    };
    assert_eq!((silent("one"), silent("two")), (json!(false), json!(true)));
}

#[tokio::test]
async fn schedules_are_turned_off_and_on_and_run_now() {
    let staff = Staff::of(idle()).await;
    let all = staff.get(SCHEDULES).await;
    let daily = all["schedules"].as_array().expect("a list")[0].clone();
    let told = ["name", "cron", "time_zone", "missed"].map(|name| daily[name].clone());
    assert_eq!(told, ["daily", "30 2 * * *", "UTC", "skip"].map(Value::from));
    assert_eq!(daily["enabled"], true);
    let next = daily["next_tick_at"].as_str().expect("a time");
    assert!(next.contains("T02:30:00"), "{next}");
    assert!(daily.get("last_tick_at").is_none(), "no worker has run: {daily}");

    let change = async |name: &str, enabled: bool| {
        let path = format!("{SCHEDULES}/{name}");
        let request = staff.app.request(Method::PATCH, &path).json(json!({"enabled": enabled}));
        request.bearer(&staff.token).send().await
    };
    let off = change("daily", false).await.data();
    assert!(off["enabled"] == false && off.get("next_tick_at").is_none(), "{off}");
    assert_eq!(staff.get(SCHEDULES).await["schedules"][0]["enabled"], false);
    assert_eq!(change("daily", true).await.data()["next_tick_at"], next);
    change("nothing", true).await.assert_error(404, "not_found");

    let run = staff.post(&format!("{SCHEDULES}/endless/run")).await;
    assert_eq!(run.status, 202);
    let job = staff.get(run.header("location")).await;
    assert_eq!((&job["kind"], &job["state"]), (&json!("test.endless"), &json!("waiting")));
    assert!(job["admin_id"].is_string(), "{job}");
    // Of its key one job waits or runs.
    let again = staff.post(&format!("{SCHEDULES}/endless/run")).await;
    again.assert_error(409, "job_in_other_state");
    staff.post(&format!("{SCHEDULES}/nothing/run")).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn a_run_that_is_asked_for_twice_with_one_key_happens_once() {
    let staff = Staff::of(idle()).await;
    let run = || {
        let path = format!("{SCHEDULES}/daily/run");
        let request = staff.app.request(Method::POST, &path).bearer(&staff.token);
        request.header("idempotency-key", "k").send()
    };
    let (first, again) = (run().await, run().await);
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!((&first.text, again.header("idempotency-replayed")), (&again.text, "true"));
    assert_eq!(first.header("location"), again.header("location"));
    let id: Uuid = first.json()["data"]["id"].as_str().expect("an id").parse().expect("an id");
    assert_eq!(staff.listed("").await, [id.to_string()]);
}
