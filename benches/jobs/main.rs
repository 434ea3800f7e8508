//! What jobs cost, and how they do beside Celery: `cargo bench --bench jobs`.
//!
//! Everything runs on a private database with its usual durability. Prints a table, also to
//! `target/jobs.txt`. With names of parts behind `--` only those run: `pickup`, `wake`, `throughput`,
//! `history`.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

mod celery;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../../tests/it/support/redis_server.rs"]
mod redis_server;
#[path = "../support/report.rs"]
mod report;
mod stage;

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use report::Report;
use stage::{DONE, Nothing, STARTED, Stage};
use twofold::{
    db::{
        Origin,
        jobs::work::{self, Success},
    },
    services::{Core, jobs::Order},
};

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    // Cargo passes `--bench`.
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|one| one == name);
    let cores = std::thread::available_parallelism().expect("asked");
    let mut report = Report::new("jobs", &format!("{cores} cores for everything"));
    let stage = Stage::start().await;
    if is_chosen("pickup") {
        pickup(&mut report, &stage).await;
    }
    if is_chosen("wake") {
        wake(&mut report, &stage).await;
    }
    if is_chosen("throughput") {
        throughput(&mut report, &stage).await;
    }
    if is_chosen("history") {
        history(&mut report, &stage).await;
    }
    stage.stop();
    report.finish();
}

async fn store(core: &Core, count: usize) {
    for start in (0..count).step_by(10_000) {
        let mut tx = core.db.begin(&Origin::system("bench")).await.expect("begun");
        let orders = (start..count.min(start + 10_000)).map(|_| Order::of(&Nothing {}));
        let orders = orders.collect::<Result<_, _>>().expect("orders");
        core.jobs.enqueue_all(core, &mut tx, orders).await.expect("stored");
        tx.commit().await.expect("committed");
    }
}

/// How long an idle worker takes to begin, when another process stores a job.
async fn pickup(report: &mut Report, stage: &Stage) {
    report.line("An idle worker of another process, 500 jobs, one after the other");
    let worker = stage.work(50).await;
    let (here, teller) = stage.another_process().await;
    let mut times = Vec::new();
    for _ in 0..500 {
        let mut tx = here.db.begin(&Origin::system("bench")).await.expect("begun");
        here.jobs.enqueue(&here, &mut tx, &Nothing {}).await.expect("stored");
        STARTED.lock().expect("nobody panics").take();
        tx.commit().await.expect("committed");
        let committed = Instant::now();
        let started = loop {
            if let Some(started) = *STARTED.lock().expect("nobody panics") {
                break started;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        };
        times.push(started.saturating_duration_since(committed));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    teller.abort();
    worker.stop().await;
    times.sort_unstable();
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let seen = format!("p50 {half:.1?}, p99 {most:.1?}");
    let holds = half <= Duration::from_millis(3) && most <= Duration::from_millis(25);
    report.condition("begins: p50 <= 3 ms, p99 <= 25 ms", &seen, holds);
    report.line("");
}

/// What telling other processes costs those who store jobs.
async fn wake(report: &mut Report, stage: &Stage) {
    report.line("Eight at a time store jobs, a transaction each, while nobody works on them");
    let silent = stage.silent_process().await;
    let (telling, teller) = stage.another_process().await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        without.push(enqueue_rate(&silent).await);
        with.push(enqueue_rate(&telling).await);
        stage.clear().await;
    }
    teller.abort();
    // The first round warms up.
    let (without, with) = (median(&without[1..]), median(&with[1..]));
    let seen = format!("{:.2} ({without:.0}/s without, {with:.0}/s with)", with / without);
    report.condition("with wakes / without >= 0.9", &seen, with / without >= 0.9);
    report.line("");
}

async fn enqueue_rate(core: &Core) -> f64 {
    const EACH: u32 = 400;
    let started = Instant::now();
    let tasks = (0..8).map(|_| {
        let core = core.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let mut tx = core.db.begin(&Origin::system("bench")).await.expect("begun");
                core.jobs.enqueue(&core, &mut tx, &Nothing {}).await.expect("stored");
                tx.commit().await.expect("committed");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("stored");
    }
    f64::from(8 * EACH) / started.elapsed().as_secs_f64()
}

/// How many jobs that do nothing are done in a second, in turns with Celery.
async fn throughput(report: &mut Report, stage: &Stage) {
    report.line("Jobs that do nothing, stored beforehand; pool of 5");
    let celery = celery::Celery::start();
    let slots = [10, 100, 1000];
    let (mut ours, mut theirs) = ([const { Vec::new() }; 3], Vec::new());
    for _ in 0..ROUNDS {
        for (slots, rates) in slots.into_iter().zip(&mut ours) {
            rates.push(drain(stage, slots, slots.min(100) * 400).await);
        }
        theirs.push(tokio::task::block_in_place(|| celery.throughput(3000)));
    }
    let [ten, hundred, thousand] = ours.map(|rates| median(&rates));
    let theirs = median(&theirs);
    report.condition("10 slots: >= 4,000/s", &format!("{ten:.0}/s"), ten >= 4000.0);
    report.condition("100 slots: >= 20,000/s", &format!("{hundred:.0}/s"), hundred >= 20_000.0);
    report.line(&format!("       1,000 slots: {thousand:.0}/s"));
    let seen = format!("{:.1} (Celery, prefork 2: {theirs:.0}/s)", hundred / theirs);
    report.condition("100 slots / Celery with Redis >= 10", &seen, hundred / theirs >= 10.0);
    report.line("");
}

#[expect(clippy::cast_precision_loss, reason = "some ten thousand")]
async fn drain(stage: &Stage, slots: usize, count: usize) -> f64 {
    stage.clear().await;
    store(&stage.core, count).await;
    DONE.store(0, Relaxed);
    let started = Instant::now();
    let worker = stage.work(slots).await;
    while DONE.load(Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Their ends have to be noted as well.
    while stage.number("SELECT count(*) FROM jobs WHERE state = 'running'").await > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = started.elapsed();
    worker.stop().await;
    let done = stage.number("SELECT count(*) FROM jobs WHERE state = 'succeeded'").await;
    assert_eq!(usize::try_from(done), Ok(count));
    count as f64 / took.as_secs_f64()
}

/// Whether a long history makes taking jobs slower, and whether what they leave is cleaned up.
async fn history(report: &mut Report, stage: &Stage) {
    report.line("1,000,000 jobs that have ended, and 50,000 that wait");
    stage.clear().await;
    stage.make_history(1_000_000).await;
    store(&stage.core, 50_000).await;
    let worker = stage.core.random.id(stage.core.clock.now());
    let queues = ["default".to_owned()];
    let mut times = Vec::new();
    let mut conn = stage.core.db.conn().await.expect("a connection");
    loop {
        let now = stage.core.clock.now();
        let started = Instant::now();
        let taken = work::claim(&mut conn, worker, &queues, 10, now).await.expect("taken");
        times.push(started.elapsed());
        if taken.is_empty() {
            break;
        }
        let done: Vec<Success> = taken
            .iter()
            .map(|job| Success { id: job.id, lease: job.lease, result: None })
            .collect();
        work::complete(&mut conn, worker, &done, now).await.expect("noted");
    }
    drop(conn);
    times.sort_unstable();
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let seen = format!("p50 {half:.1?}, p99 {most:.1?} of {}", times.len());
    report.condition("taking 10 jobs: p99 <= 5 ms", &seen, most <= Duration::from_millis(5));
    let started = Instant::now();
    let dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'jobs'";
    let mut left = stage.number(dead).await;
    while left > 50_000 && started.elapsed() < Duration::from_mins(3) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        left = stage.number(dead).await;
    }
    let seen = format!("{left} after {:.0?}", started.elapsed());
    report.condition("dead rows <= 50,000 within 3 min", &seen, left <= 50_000);
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
