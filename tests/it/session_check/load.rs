//! Under load, while Redis is killed, stopped and flushed: no wrong answer about a session.

use std::sync::atomic::AtomicBool;

use futures_util::future::join_all;
use rustix::process::Signal;

use super::*;
use crate::support::rounds;

/// How many sessions are used at a time.
const USERS: usize = 8;

/// Opens sessions, uses them in both processes and ends them, over and over; returns how often one was ended.
async fn live(a: &TestApp, b: &TestApp, email: &str, stop: &AtomicBool) -> usize {
    let mut ended = 0;
    while !stop.load(Relaxed) {
        // Each does what the other hears of.
        let (here, there) = if ended % 2 == 0 { (a, b) } else { (b, a) };
        let token = token(here, email).await;
        for _ in 0..10 {
            assert_eq!(status(here, WHO, &token).await, 200);
            assert_eq!(status(there, WHO, &token).await, 200);
        }
        let log_out = here.post("/api/v1/auth/logout", json!({})).bearer(&token);
        assert_eq!(log_out.send().await.status, 204);
        let at = Instant::now();
        assert_refused(status(here, WHO, &token).await);
        loop {
            let asked = at.elapsed();
            let status = status(there, WHO, &token).await;
            if status != 200 {
                assert_refused(status);
                break;
            }
            assert!(asked < BOUND, "open after {asked:?}");
        }
        ended += 1;
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn c28_no_outage_of_redis_makes_an_answer_wrong() {
    let Stage { a, b, redis, db } = Stage::set().await;
    let mut redis = redis.expect("there is one");
    let stop = AtomicBool::new(false);
    let users: Vec<String> = join_all((0..USERS).map(|_| add_user(&a, &db))).await;
    let living = join_all(users.iter().map(|email| live(&a, &b, email, &stop)));
    let faults = async {
        let pause = || tokio::time::sleep(Duration::from_millis(300));
        for _ in 0..rounds(2, 20) {
            pause().await;
            redis.kill();
            pause().await;
            redis.start_again().await;
            is_used(&a, &b, &redis).await;

            redis.signal(Signal::STOP);
            pause().await;
            redis.signal(Signal::CONT);
            is_used(&a, &b, &redis).await;

            let () = redis.ask("FLUSHALL", &[]).await;
            is_used(&a, &b, &redis).await;
        }
        stop.store(true, Relaxed);
    };
    let (ended, ()) = tokio::join!(living, faults);
    assert!(ended.iter().all(|ended| *ended > 0), "each has lived: {ended:?}");
}

/// Waits until sessions are stored in Redis and taken from there, by themselves.
async fn is_used(a: &TestApp, b: &TestApp, redis: &Redis) {
    is_well(a).await;
    is_well(b).await;
    let stored = async || redis.ask::<Vec<String>>("KEYS", &["twofold:test:session:*"]).await.pop();
    wait(stored).await;
    let hits = async || {
        let stats: String = redis.ask("INFO", &["stats"]).await;
        let hits = stats.split("keyspace_hits:").nth(1).expect("counted");
        hits.lines().next().expect("a line").parse::<u64>().expect("a number")
    };
    let before = hits().await;
    wait(async || (hits().await > before).then_some(())).await;
}
