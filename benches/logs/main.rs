//! How fast log lines go through Redis into files: `cargo bench --bench logs`.
//!
//! Logs as an instance does, to a Redis of its own that keeps everything on the disk, and then has
//! `log-consumer` collect it. The target is 50,000 lines a second, for each way.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

#[path = "../../tests/it/support/program.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod program;
#[path = "../../tests/it/support/redis.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod redis;
#[path = "../../tests/it/support/redis_server.rs"]
mod redis_server;

use std::time::{Duration, Instant};

use fred::interfaces::StreamsInterface;
use program::Program;
use redis::Redis;
use rustix::process::Signal;
use twofold::{
    adapters::{clock::Clock, redis::Redis as Client},
    telemetry::{self, Guard},
};

const LINES: u64 = 500_000;
/// Fewer than there is place for.
const UNDER_WAY: u64 = 50_000;
const TARGET: f64 = 50_000.0;

const STREAM: &str = "twofold:development:logs";

#[tokio::main]
async fn main() {
    let (redis, dir) = (Redis::start().await, program::dir());
    let guard = log_to(&redis, &dir.path().join("local"));
    let connection = redis.connect().await;
    let added = async || connection.xlen::<u64, _>(STREAM).await.expect("an answer");

    let (started, mut logging) = (Instant::now(), Duration::ZERO);
    for number in 0..LINES {
        let before = Instant::now();
        if number % 4 == 0 {
            let statement = "SELECT id, email, name FROM users WHERE id = $1";
            tracing::info!(target: telemetry::SQL, statement, duration_us = 420, "statement");
        } else {
            tracing::info!(method = "GET", path = "/api/v1/users/me", status = 200, "answered");
        }
        logging += before.elapsed();
        if number % 1000 == 0 {
            while number.saturating_sub(added().await) > UNDER_WAY {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    while added().await < LINES {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let shipped = started.elapsed();
    assert_eq!(guard.losses.diverted(), 0, "there was place for all");

    let logs = dir.path().join("logs");
    let url = redis.url();
    let variables = [("REDIS_URL", &*url), ("TWOFOLD_LOG__DIR", logs.to_str().expect("UTF-8"))];
    let mut consumer = Program::start_command(dir.path(), &["log-consumer"], &variables);
    let started = Instant::now();
    while added().await > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let collected = started.elapsed();
    consumer.signal(Signal::TERM);
    consumer.wait();

    println!("{LINES} lines, the target is {TARGET:.0} lines/s");
    println!("{:28} {:>9} ns/line", "who logs waits", logging.as_nanos() / u128::from(LINES));
    for (name, took) in [("instance to Redis", shipped), ("Redis to files, on the disk", collected)]
    {
        #[expect(clippy::cast_precision_loss, reason = "no such numbers of lines")]
        let rate = LINES as f64 / took.as_secs_f64();
        let verdict = if rate >= TARGET { "holds" } else { "MISSED" };
        println!("{name:28} {rate:>9.0} lines/s  {verdict}");
    }
}

fn log_to(redis: &Redis, local: &std::path::Path) -> Guard {
    let options = telemetry::Options {
        filter: "info".to_owned(),
        terminal: None,
        files: false,
        redis: Some(Client::new(&redis.url(), "twofold:").expect("an address")),
        dir: local.to_owned(),
        sql_on_terminal: false,
        retention_days: 7,
        is_development: false,
    };
    telemetry::init(&options, &Clock::default()).expect("logs")
}
