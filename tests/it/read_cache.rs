//! Answers of the database that are kept.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use chrono::TimeDelta;
use futures_util::{future::join_all, poll};
use rustix::process::Signal;
use tokio::sync::Semaphore;
use twofold::{
    adapters::redis::Kept,
    db::Origin,
    services::{
        Code, ServiceError,
        cache::{Change, Key, Loaded},
    },
};

use crate::{
    session_check::hears,
    support::{
        TestApp, TestDb,
        app::Builder,
        cluster::{END_LISTENERS, connect},
        redis::Redis,
        wait,
    },
};

/// What stands in the database, and how often it was loaded from there.
#[derive(Default)]
struct Source {
    value: AtomicUsize,
    loads: AtomicUsize,
}

impl Source {
    /// What the cache of a process says it is.
    async fn read(&self, app: &TestApp, name: &str) -> Option<usize> {
        let load = || async {
            self.loads.fetch_add(1, SeqCst);
            let value = self.value.load(SeqCst);
            // Longer than a reader takes to come.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let value = (value > 0).then_some(value);
            Ok(Loaded { value, tags: vec!["source".to_owned()] })
        };
        let key = Key::new("number", name);
        app.core.cache.get_or_load(&key, load).await.expect("read")
    }

    /// Another value, by the way of a process.
    async fn write(&self, app: &TestApp, value: usize, change: Change) {
        let mut tx = app.core.db.begin(&Origin::system("test")).await.expect("begun");
        app.core.cache.changes(&mut tx, &[change]).await.expect("told");
        self.value.store(value, SeqCst);
        tx.commit().await.expect("committed");
    }

    fn loads(&self) -> usize {
        self.loads.swap(0, SeqCst)
    }
}

fn tag() -> Change {
    Change::Tag("source".to_owned())
}

fn builder(db: &TestDb, redis: Option<&Redis>) -> Builder {
    let builder = TestApp::builder().database_url(&db.url);
    match redis {
        Some(redis) => builder.setting("REDIS_URL", &redis.url()),
        None => builder,
    }
}

async fn start(db: &TestDb, redis: Option<&Redis>) -> TestApp {
    let app = builder(db, redis).start().await;
    is_well(&app).await;
    app
}

pub async fn is_well(app: &TestApp) {
    hears(app).await;
    let redis = &app.core.redis;
    wait(async || redis.as_ref().is_none_or(Kept::is_connected).then_some(())).await;
}

#[tokio::test]
async fn what_is_known_is_not_loaded_again_until_it_changes_or_its_time_is_over() {
    let db = TestDb::create().await;
    let redis = Redis::start().await;
    for redis in [None, Some(&redis)] {
        let (app, source) = (start(&db, redis).await, Source::default());
        source.write(&app, 1, tag()).await;
        for _ in 0..3 {
            assert_eq!(source.read(&app, "a").await, Some(1));
        }
        assert_eq!(source.loads(), 1);
        // Something else has changed.
        for other in [Change::Tag("sour".to_owned()), Change::Keys("numb:".to_owned())] {
            source.write(&app, 1, other).await;
        }
        assert_eq!(source.read(&app, "a").await, Some(1));
        assert_eq!(source.loads(), 0);
        for change in [tag(), Change::Keys("number:".to_owned())] {
            source.write(&app, 2, change).await;
            for _ in 0..3 {
                assert_eq!(source.read(&app, "a").await, Some(2));
            }
            assert_eq!(source.loads(), 1);
        }
        // By name, below a kind.
        source.read(&app, "x:1").await;
        source.read(&app, "y:1").await;
        source.write(&app, 3, Change::Keys("number:x:".to_owned())).await;
        assert_eq!(source.read(&app, "y:1").await, Some(2));
        assert_eq!(source.read(&app, "x:1").await, Some(3));
        source.loads();
        // Nobody moves the clock of Redis.
        if redis.is_none() {
            app.clock.advance(TimeDelta::seconds(3601));
            hears(&app).await;
            source.read(&app, "a").await;
            assert_eq!(source.loads(), 1, "its time is over");
        }
    }
}

#[tokio::test]
async fn that_there_is_nothing_is_known_for_a_while_and_until_there_is() {
    let db = TestDb::create().await;
    let (app, source) = (start(&db, None).await, Source::default());
    for _ in 0..3 {
        assert_eq!(source.read(&app, "a").await, None);
    }
    assert_eq!(source.loads(), 1);
    source.write(&app, 1, tag()).await;
    assert_eq!(source.read(&app, "a").await, Some(1));
    assert_eq!(source.loads(), 1);
    source.write(&app, 0, tag()).await;
    assert_eq!(source.read(&app, "b").await, None);
    app.clock.advance(TimeDelta::seconds(61));
    hears(&app).await;
    assert_eq!(source.read(&app, "b").await, None);
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn of_a_thousand_who_ask_at_once_in_two_processes_one_loads() {
    let (redis, db) = (Redis::start().await, TestDb::create().await);
    let a = start(&db, Some(&redis)).await;
    let b = start(&db, Some(&redis)).await;
    let source = Source::default();
    source.value.store(7, SeqCst);
    let reads = (0..1000).map(|n| source.read(if n % 2 == 0 { &a } else { &b }, "a"));
    assert!(join_all(reads).await.iter().all(|found| *found == Some(7)));
    assert_eq!(source.loads(), 1);
    // In one process without Redis.
    let alone = start(&db, None).await;
    assert!(
        join_all((0..1000).map(|_| source.read(&alone, "a"))).await.iter().all(Option::is_some)
    );
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn of_those_who_ask_while_it_changes_or_nothing_is_heard_hardly_any_loads() {
    let db = TestDb::create().await;
    let (mut app, source) = (start(&db, None).await, Source::default());
    source.write(&app, 1, tag()).await;
    let reads = join_all((0..1000).map(|_| source.read(&app, "a")));
    let change = async {
        // The first one is loading.
        wait(async || (source.loads.load(SeqCst) > 0).then_some(())).await;
        source.write(&app, 2, tag()).await;
    };
    assert!(tokio::join!(reads, change).0.iter().all(Option::is_some));
    assert_eq!(source.read(&app, "a").await, Some(2));
    assert!(
        source.loads() <= 3,
        "one before the change, one after it, and what was kept of neither"
    );
    app.stop_background().await;
    app.clock.advance(TimeDelta::seconds(1));
    join_all((0..1000).map(|_| source.read(&app, "a"))).await;
    assert!(source.loads() <= 20);
}

#[tokio::test]
async fn who_asks_after_a_change_is_not_given_what_was_read_before() {
    let db = TestDb::create().await;
    let (app, source) = (start(&db, None).await, Source::default());
    source.write(&app, 1, tag()).await;
    assert_eq!(source.read(&app, "b").await, Some(1));
    source.loads();
    let gate = Semaphore::new(0);
    let load = || async {
        let value = source.value.load(SeqCst);
        source.loads.fetch_add(1, SeqCst);
        // It has read, and the answer is on its way.
        gate.acquire().await.expect("open").forget();
        Ok(Loaded { value: Some(value), tags: vec!["source".to_owned()] })
    };
    let key = Key::new("number", "a");
    let before = app.core.cache.get_or_load(&key, load);
    let after = async {
        wait(async || (source.loads.load(SeqCst) > 0).then_some(())).await;
        source.write(&app, 2, tag()).await;
        wait(async || (source.read(&app, "b").await == Some(2)).then_some(())).await;
        let mut reading = pin!(source.read(&app, "a"));
        assert!(poll!(&mut reading).is_pending(), "it waits for what is under way");
        gate.add_permits(1);
        reading.await
    };
    let (before, after) = tokio::join!(before, after);
    assert_eq!((before.expect("read"), after), (Some(1), Some(2)));
}

#[tokio::test]
async fn who_can_not_load_leaves_it_to_other_processes() {
    let (redis, db) = (Redis::start().await, TestDb::create().await);
    let app = start(&db, Some(&redis)).await;
    let fail = || async { Err::<Loaded<usize>, _>(ServiceError::from(Code::Unavailable)) };
    let key = Key::new("number", "a");
    app.core.cache.get_or_load(&key, fail).await.expect_err("failed");
    let claimed = redis.ask::<Vec<String>>("KEYS", &["*:claim"]).await;
    assert!(claimed.is_empty(), "{claimed:?}");
}

#[tokio::test]
async fn another_process_sees_a_write_and_what_was_loaded_since_serves_both() {
    let (redis, db) = (Redis::start().await, TestDb::create().await);
    let a = start(&db, Some(&redis)).await;
    let b = start(&db, Some(&redis)).await;
    let source = Source::default();
    for value in 1..=20 {
        source.write(&a, value, tag()).await;
        assert_eq!(source.read(&a, "a").await, Some(value));
        wait(async || (source.read(&b, "a").await == Some(value)).then_some(())).await;
    }
    // Once it is long enough ago for their clocks to agree on it, each takes what the other has loaded.
    wait(async || {
        source.read(&a, "a").await;
        source.read(&b, "a").await;
        (source.loads() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn c28_a_redis_that_hangs_dies_or_forgets_makes_no_answer_wrong() {
    let (mut redis, db) = (Redis::start().await, TestDb::create().await);
    let a = start(&db, Some(&redis)).await;
    let b = start(&db, Some(&redis)).await;
    let (source, mut value) = (Source::default(), 1);
    source.write(&a, value, tag()).await;
    let agree = async |value: usize| {
        assert_eq!(source.read(&a, "a").await, Some(value));
        wait(async || (source.read(&b, "a").await == Some(value)).then_some(())).await;
    };
    agree(value).await;
    redis.signal(Signal::STOP);
    for _ in 0..3 {
        value += 1;
        source.write(&a, value, tag()).await;
        agree(value).await;
    }
    redis.signal(Signal::CONT);
    is_well(&a).await;
    is_well(&b).await;
    // There it still has what it had before.
    agree(value).await;
    redis.ask::<()>("FLUSHALL", &[]).await;
    agree(value).await;
    redis.kill();
    value += 1;
    source.write(&b, value, tag()).await;
    wait(async || (source.read(&a, "a").await == Some(value)).then_some(())).await;
}

#[tokio::test]
async fn a_deaf_process_or_one_whose_cache_is_off_asks_the_database() {
    let db = TestDb::create().await;
    let off = builder(&db, None).setting("TWOFOLD_CACHE__ENABLED", "false").start().await;
    let source = Source::default();
    source.write(&off, 1, tag()).await;
    for _ in 0..3 {
        source.read(&off, "a").await;
    }
    assert_eq!(source.loads(), 3);
    let mut deaf = start(&db, None).await;
    source.read(&deaf, "a").await;
    deaf.stop_background().await;
    deaf.clock.advance(TimeDelta::seconds(1));
    source.loads();
    source.write(&off, 2, tag()).await;
    assert_eq!(source.read(&deaf, "a").await, Some(2));
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn what_nobody_could_hear_of_counts_once_they_hear_again() {
    let redis = Redis::start().await;
    for redis in [Some(&redis), None] {
        let db = TestDb::create().await;
        let app = start(&db, redis).await;
        let source = Source::default();
        source.write(&app, 1, tag()).await;
        assert_eq!(source.read(&app, "a").await, Some(1));
        let before = app.core.bus.pulse().expect("it hears");
        connect(&db.url).await.batch_execute(END_LISTENERS).await.expect("ended");
        source.value.store(2, SeqCst);
        let again = |since| (since > before.since).then_some(());
        wait(async || app.core.bus.pulse().and_then(|pulse| again(pulse.since))).await;
        assert_eq!(source.read(&app, "a").await, Some(2));
    }
}

#[tokio::test]
async fn what_fails_is_not_kept_and_what_was_given_up_is_taken_over() {
    let db = TestDb::create().await;
    let app = Arc::new(start(&db, None).await);
    let key = Key::new("number", "a");
    let fail = || async { Err::<Loaded<usize>, _>(ServiceError::from(Code::Unavailable)) };
    let failed = app.core.cache.get_or_load(&key, fail).await.expect_err("failed");
    assert_eq!(failed.code, Code::Unavailable);
    let first = tokio::spawn({
        let (app, key) = (app.clone(), key.clone());
        async move {
            let never = || std::future::pending::<Result<Loaded<usize>, ServiceError>>();
            app.core.cache.get_or_load(&key, never).await
        }
    });
    tokio::task::yield_now().await;
    let source = Source::default();
    source.value.store(5, SeqCst);
    let second = source.read(&app, "a");
    let ended = async {
        tokio::task::yield_now().await;
        first.abort();
    };
    assert_eq!(tokio::join!(second, ended).0, Some(5));
}

#[tokio::test]
async fn what_another_version_has_stored_in_another_shape_is_loaded_anew() {
    let db = TestDb::create().await;
    let (app, source) = (start(&db, None).await, Source::default());
    let text = || async { Ok(Loaded { value: Some("a text".to_owned()), tags: Vec::new() }) };
    let stored = app.core.cache.get_or_load(&Key::new("number", "a"), text).await.expect("read");
    assert_eq!(stored.as_deref(), Some("a text"));
    source.value.store(1, SeqCst);
    for _ in 0..2 {
        assert_eq!(source.read(&app, "a").await, Some(1));
    }
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn what_is_found_is_counted() {
    let db = TestDb::create().await;
    let (app, source) = (start(&db, None).await, Source::default());
    source.value.store(1, SeqCst);
    for _ in 0..3 {
        source.read(&app, "a").await;
    }
    let text = app.core.metrics.render().await.expect("rendered");
    for line in [
        r#"twofold_cache_reads_total{kind="number",outcome="miss"} 1"#,
        r#"twofold_cache_reads_total{kind="number",outcome="hit"} 2"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn in_redis_values_have_their_own_names_and_do_not_end_together() {
    let (redis, db) = (Redis::start().await, TestDb::create().await);
    let app = start(&db, Some(&redis)).await;
    let source = Source::default();
    source.value.store(1, SeqCst);
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    join_all(names.iter().map(|name| source.read(&app, name))).await;
    // Whoever has loaded a value keeps nobody from loading it again.
    let kept = redis.ask::<Vec<String>>("KEYS", &["*number:*"]).await;
    assert_eq!(kept.len(), 20, "{kept:?}");
    assert!(kept.iter().all(|key| key.contains("cache:number:")), "{kept:?}");
    let mut lives = Vec::new();
    for key in &kept {
        lives.push(redis.ask::<i64>("PTTL", &[key]).await);
    }
    let (least, most) = (lives.iter().min().expect("some"), lives.iter().max().expect("some"));
    assert!(*least > 3_200_000 && *most <= 3_600_000 && most - least > 60_000, "{lives:?}");
}
