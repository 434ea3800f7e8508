//! Workers as real processes, which are killed, stopped and told to end.
//!
//! A worker of these tests is this test binary again, with [`worker`] as its one test.

use std::{
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use diesel_async::SimpleAsyncConnection;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use twofold::{
    adapters::{clock::Clock, random::Random},
    bootstrap::{self, Background, Database},
    config::Settings,
    db::{DbError, Origin, migrations},
    embedded::postgres::Postgres,
    jobs::{Context, Handler, JobError, Registry},
    server,
    services::{
        Core,
        jobs::{Job, Missed, Order, Schedule},
    },
};
use uuid::Uuid;

use crate::support::{TestDb, cluster, cluster::connect, rounds, wait};

/// Notes its start, takes its time, and says who has done it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    millis: u64,
    /// Kills its process instead.
    deadly: bool,
}

impl Job for Mark {
    const KIND: &'static str = "test.mark";
}

impl Handler for Mark {
    type Output = u32;

    async fn run(self, context: Context) -> Result<u32, JobError> {
        note_start(&context).await?;
        if self.deadly {
            std::process::abort();
        }
        tokio::time::sleep(Duration::from_millis(self.millis)).await;
        Ok(std::process::id())
    }
}

async fn note_start(context: &Context) -> Result<(), DbError> {
    let mut conn = context.core.db.conn().await?;
    let sql = format!("INSERT INTO starts VALUES ('{}')", context.id);
    Ok(conn.batch_execute(&sql).await?)
}

fn registry() -> Registry {
    // A minute is a tick: all of them, however late.
    let tick = Mark { millis: 0, deadly: false };
    let schedule = Schedule::new("tick", "* * * * *", tick.clone()).missed(Missed::All);
    match std::env::var("WORKER_CLOCK") {
        Ok(_) => Registry::default().schedule::<Mark>(schedule),
        Err(_) => Registry::default().handle::<Mark>(),
    }
}

async fn core(url: &str) -> (Settings, Database, Core) {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = Settings::from_variables([
        variable("TWOFOLD_ENV", "test"),
        variable("DATABASE_URL", url),
        variable("TWOFOLD_DATA_DIR", env!("CARGO_TARGET_TMPDIR")),
        variable("TWOFOLD_JOBS__SLOTS", "4"),
        variable("TWOFOLD_JOBS__HEARTBEAT_MS", "150"),
        variable("TWOFOLD_SERVER__DRAIN_TIMEOUT_MS", "1000"),
    ]);
    let settings = settings.expect("settings");
    let database = Database::open(&settings).await.expect("database");
    let clock = Clock::default();
    let core = bootstrap::core(&settings, &database, None, &registry(), clock).expect("core");
    (settings, database, core)
}

/// Works until SIGTERM. With `WORKER_CLOCK` its clock runs a minute in each of so many milliseconds.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of the other tests"]
async fn worker() {
    let url = std::env::var("WORKER_DATABASE").expect("another test starts it");
    let (settings, database, core) = core(&url).await;
    if let Ok(millis) = std::env::var("WORKER_CLOCK") {
        let pause = Duration::from_millis(millis.parse().expect("a number"));
        let clock = core.clock.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                clock.advance(TimeDelta::minutes(1));
            }
        });
    }
    let mut background = Background::start(&database, &core);
    background.work(&settings, &database, &core, registry());
    server::stop_signal().await;
    background.stop(&settings).await;
}

/// A worker's process; killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(url: &str) -> Self {
        Self::start_with(url, &[])
    }

    fn start_with(url: &str, variables: &[(&str, &str)]) -> Self {
        let child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "jobs_processes::worker", "--ignored", "--nocapture"])
            .env("WORKER_DATABASE", url)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("started"))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a process id");
        kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("it runs");
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    fn has_ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("asked")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A database with a table for what the jobs note, and a core to store jobs with.
struct Stage {
    db: TestDb,
    client: Client,
    core: Core,
}

impl Stage {
    async fn new() -> Self {
        let db = TestDb::create().await;
        let client = connect(&db.url).await;
        client.batch_execute(STARTS).await.expect("made");
        let (_, _, core) = core(&db.url).await;
        Self { db, client, core }
    }

    async fn enqueue(&self, jobs: impl IntoIterator<Item = Mark>) -> Vec<Uuid> {
        enqueue(&self.core, jobs).await
    }

    async fn number(&self, sql: &str) -> i64 {
        number(&self.client, sql).await
    }

    async fn until_none_waits_or_runs(&self) {
        until_none_waits_or_runs(&self.client).await;
    }
}

const STARTS: &str = "CREATE TABLE starts (job uuid NOT NULL)";

async fn enqueue(core: &Core, jobs: impl IntoIterator<Item = Mark>) -> Vec<Uuid> {
    let mut tx = core.db.begin(&Origin::system("test")).await.expect("a transaction");
    let orders = jobs.into_iter().map(|job| Order::of(&job).expect("an order")).collect();
    let ids = core.jobs.enqueue_all(core, &mut tx, orders).await.expect("stored");
    tx.commit().await.expect("committed");
    ids
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect("asked").get(0)
}

const UNFINISHED: &str = "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')";

async fn until_none_waits_or_runs(client: &Client) {
    let started = Instant::now();
    while number(client, UNFINISHED).await > 0 {
        assert!(started.elapsed() < Duration::from_mins(1), "they are not done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn mark(millis: u64) -> Mark {
    Mark { millis, deadly: false }
}

/// A number below `limit`, by chance.
fn chance(limit: u32) -> u32 {
    u32::from_le_bytes(Random.bytes()) % limit
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_lose_no_job_and_only_what_they_worked_on_is_done_twice() {
    let kills = rounds(10, 100);
    let stage = Stage::new().await;
    let mut workers: Vec<Worker> = (0..2).map(|_| Worker::start(&stage.db.url)).collect();
    for _ in 0..kills {
        stage.enqueue((0..60).map(|_| mark(u64::from(chance(40))))).await;
        tokio::time::sleep(Duration::from_millis(u64::from(200 + chance(400)))).await;
        let victim = usize::try_from(chance(2)).expect("small");
        workers[victim].kill();
        workers[victim] = Worker::start(&stage.db.url);
    }
    stage.until_none_waits_or_runs().await;
    let all = i64::try_from(kills * 60).expect("small");
    assert_eq!(stage.number("SELECT count(*) FROM jobs WHERE state = 'succeeded'").await, all);
    assert_eq!(stage.number("SELECT count(*) FROM jobs WHERE attempts <> 1").await, 0, "a charge");
    let unexplained = "SELECT count(*) FROM (SELECT job, count(*) AS times FROM starts GROUP BY 1) s \
         WHERE times > 1 + (SELECT count(*) FROM job_attempts WHERE job_id = job AND outcome = 'crashed')";
    assert_eq!(stage.number(unexplained).await, 0);
    // Something was at work when they were killed, or nothing was tested.
    assert!(stage.number("SELECT count(*) FROM job_attempts").await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_worker_is_given_up_and_the_others_lose_no_try() {
    let stage = Stage::new().await;
    let poison = stage.enqueue([Mark { millis: 0, deadly: true }]).await[0];
    stage.enqueue((0..12).map(|_| mark(100))).await;
    let mut worker = Worker::start(&stage.db.url);
    let started = Instant::now();
    while stage.number(UNFINISHED).await > 0 {
        assert!(started.elapsed() < Duration::from_mins(1), "they are not done");
        if worker.has_ended().is_some() {
            worker = Worker::start(&stage.db.url);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sql = "SELECT state, crashes, last_error FROM jobs WHERE id = $1::text::uuid";
    let row = stage.client.query_one(sql, &[&poison.to_string()]).await.expect("there");
    let found: (&str, i32, &str) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(found, ("failed", 3, "its worker died"));
    let innocent =
        "SELECT count(*) FROM jobs WHERE state = 'succeeded' AND attempts = 1 AND crashes = 0";
    assert_eq!(stage.number(innocent).await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_that_goes_on_is_not_heard_any_more() {
    let stage = Stage::new().await;
    let job = stage.enqueue([mark(700)]).await[0].to_string();
    let mut first = Worker::start(&stage.db.url);
    let started = async |times| {
        wait(async || (stage.number("SELECT count(*) FROM starts").await == times).then_some(()))
            .await;
    };
    started(1).await;
    first.signal(Signal::STOP);
    let second = Worker::start(&stage.db.url);
    started(2).await;
    // It finishes at about the same time as the other one.
    first.signal(Signal::CONT);
    stage.until_none_waits_or_runs().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sql = "SELECT result::text, lease, attempts FROM jobs WHERE id = $1::text::uuid";
    let row = stage.client.query_one(sql, &[&job]).await.expect("there");
    let found: (&str, i32, i32) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(found, (second.0.id().to_string().as_str(), 2, 1));
    assert!(first.has_ended().is_none(), "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sigterm_what_can_be_is_finished_and_the_rest_given_back() {
    let stage = Stage::new().await;
    stage.enqueue([mark(300), mark(600_000)]).await;
    let mut worker = Worker::start(&stage.db.url);
    wait(async || (stage.number("SELECT count(*) FROM starts").await == 2).then_some(())).await;
    worker.signal(Signal::TERM);
    let status = wait(async || worker.has_ended()).await;
    assert!(status.success(), "{status}");
    let rows = "SELECT state, attempts FROM jobs ORDER BY (payload->>'millis')::int";
    let rows = stage.client.query(rows, &[]).await.expect("asked");
    let found: Vec<(&str, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, [("succeeded", 1), ("waiting", 0)]);
    assert_eq!(stage.number("SELECT count(*) FROM job_workers").await, 0);
}

/// A database that goes away and comes back, with a table for what the jobs note.
struct Fleeting {
    folder: PathBuf,
    postgres: Postgres,
    url: String,
}

impl Fleeting {
    async fn start(name: &str) -> Self {
        let folder = cluster::folder(name);
        let postgres = cluster::start(&folder, &["fsync=off"]).await;
        let url = postgres.url();
        migrations::up(&url.clone().into()).await.expect("migrations");
        let clean = "DROP TABLE IF EXISTS starts; TRUNCATE jobs CASCADE; TRUNCATE job_workers;";
        let client = connect(&url).await;
        client.batch_execute(&format!("{clean}{STARTS}")).await.expect("made");
        Self { folder, postgres, url }
    }

    /// Killed, and started again after so many seconds.
    async fn be_away(&mut self, seconds: usize) -> Client {
        let pid = i32::try_from(self.postgres.pid().expect("it runs")).expect("a process id");
        kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("it runs");
        self.postgres.stop();
        tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
        self.postgres = cluster::start(&self.folder, &["fsync=off"]).await;
        connect(&self.url).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_outlives_its_database() {
    let mut database = Fleeting::start("jobs-outage").await;
    let client = connect(&database.url).await;
    let (_, _, test_core) = core(&database.url).await;
    let mut worker = Worker::start(&database.url);
    enqueue(&test_core, (0..300).map(|_| mark(20))).await;
    wait(async || (number(&client, "SELECT count(*) FROM starts").await > 20).then_some(())).await;

    let client = database.be_away(rounds(3, 60)).await;
    let returned = Instant::now();
    assert!(worker.has_ended().is_none(), "it has given up");
    until_none_waits_or_runs(&client).await;
    assert!(returned.elapsed() < Duration::from_secs(10), "{:?}", returned.elapsed());
    assert_eq!(number(&client, "SELECT count(*) FROM jobs WHERE state = 'succeeded'").await, 300);
    // Those that were at work, four at a time, may have found no database.
    assert!(number(&client, "SELECT count(*) FROM jobs WHERE attempts <> 1").await <= 4);
    assert!(worker.has_ended().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_while_the_database_is_away_is_not_done_again() {
    let mut database = Fleeting::start("jobs-away").await;
    let client = connect(&database.url).await;
    let (_, _, test_core) = core(&database.url).await;
    let _workers = [(); 2].map(|()| Worker::start(&database.url));
    enqueue(&test_core, [(); 8].map(|()| mark(1000))).await;
    wait(async || (number(&client, "SELECT count(*) FROM starts").await == 8).then_some(())).await;

    let client = database.be_away(2).await;
    until_none_waits_or_runs(&client).await;
    let once = "SELECT count(*) FROM jobs WHERE state = 'succeeded' AND attempts = 1 AND lease = 1";
    assert_eq!(number(&client, once).await, 8);
    assert_eq!(number(&client, "SELECT count(*) FROM starts").await, 8);
    // While nobody could say anything, silence was no sign of death.
    assert_eq!(number(&client, "SELECT count(*) FROM job_attempts").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tick_is_seen_to_once_however_many_look() {
    let stage = Stage::new().await;
    let workers: Vec<Worker> =
        (0..3).map(|_| Worker::start_with(&stage.db.url, &[("WORKER_CLOCK", "4")])).collect();
    let first = "SELECT extract(epoch FROM created_at)::bigint FROM job_schedules";
    wait(async || {
        let rows = stage.client.query(first, &[]).await.expect("asked");
        (!rows.is_empty()).then_some(())
    })
    .await;
    let started = Instant::now();
    while stage.number("SELECT count(*) FROM jobs").await < 1000 {
        assert!(started.elapsed() < Duration::from_mins(1), "the clocks are fast enough");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(workers);
    // As many jobs as minutes have begun since the schedule became known.
    let ticks = "SELECT (floor(extract(epoch FROM last_tick) / 60)
                   - floor(extract(epoch FROM created_at) / 60))::bigint FROM job_schedules";
    assert_eq!(stage.number("SELECT count(*) FROM jobs").await, stage.number(ticks).await);
}
