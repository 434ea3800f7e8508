//! The cache: the same in Redis and in the process.

use std::time::Duration;

use rustix::process::Signal;
use twofold::adapters::{
    cache::Cache,
    clock::Clock,
    redis::{self, Kept, RedisError},
};

use crate::support::{redis::Redis, wait};

const LONG: Duration = Duration::from_mins(1);

async fn keeps_its_word(cache: Cache) {
    assert_eq!(cache.get("a").await.expect("asked"), None);
    for value in [&b"one"[..], b"", &[0, 255, b'\r', b'\n'], &vec![7; 100_000]] {
        cache.set("a", value, LONG).await.expect("set");
        assert_eq!(cache.get("a").await.expect("asked").as_deref(), Some(value));
    }
    cache.set("b", b"two", LONG).await.expect("set");
    cache.delete("a").await.expect("deleted");
    cache.delete("never").await.expect("deleted");
    assert_eq!(cache.get("a").await.expect("asked"), None);
    assert_eq!(cache.clone().get("b").await.expect("asked").as_deref(), Some(&b"two"[..]));

    // A shorter life takes the place of a longer one, and the other way round.
    cache.set("b", b"short", Duration::from_millis(100)).await.expect("set");
    cache.set("c", b"short", Duration::from_millis(1)).await.expect("set");
    cache.set("c", b"long", LONG).await.expect("set");
    wait(async || cache.get("b").await.expect("asked").is_none().then_some(())).await;
    assert_eq!(cache.get("c").await.expect("asked").as_deref(), Some(&b"long"[..]));
}

#[tokio::test]
async fn in_the_process_values_live_as_long_as_they_should() {
    keeps_its_word(Cache::in_process(Clock::default())).await;
}

#[tokio::test]
async fn in_redis_they_do_for_all_processes_and_without_it_there_are_none() {
    let redis = Redis::start().await;
    let kept = || Kept::new(redis::Redis::new(&redis.url(), "test:").expect("an address"));
    let (here, there) = (kept(), kept());
    let keeping = [tokio::spawn(here.clone().keep()), tokio::spawn(there.clone().keep())];
    wait(async || (here.is_connected() && there.is_connected()).then_some(())).await;
    let (here, there) = (Cache::in_redis(here), Cache::in_redis(there));
    keeps_its_word(here.clone()).await;
    assert_eq!(there.get("c").await.expect("asked").as_deref(), Some(&b"long"[..]));
    assert_eq!(redis.ask::<String>("GET", &["test:c"]).await, "long");
    assert!(redis.ask::<i64>("PTTL", &["test:c"]).await > 0);

    redis.signal(Signal::STOP);
    assert!(matches!(here.get("c").await, Err(RedisError::TooSlow(_))));
    assert!(matches!(here.set("c", b"x", LONG).await, Err(RedisError::Away)));
    assert!(matches!(here.delete("c").await, Err(RedisError::Away)));
    redis.signal(Signal::CONT);
    keeping.iter().for_each(tokio::task::JoinHandle::abort);
}
