//! Both versions of the limiter, and what becomes of limits when Redis goes away.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::process::Signal;
use serde_json::json;
use twofold::adapters::{
    limiter::{Charge, Key, Limiter, Quota, Standing},
    redis::{Kept, Redis as Server},
};

use crate::support::{TestApp, http::Answer, redis::Redis, wait};

/// A budget of so many tries in a minute.
fn charge(name: u8, tries: u32) -> Charge {
    let mut key = Key::default();
    key[0] = name;
    Charge { key, quota: Quota { tries, period: Duration::from_mins(1) } }
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 123_457_000).expect("a time")
}

/// A connection that is kept until the test's end.
async fn kept(redis: &Redis) -> Kept {
    let kept = Kept::new(Server::new(&redis.url(), "test:").expect("an address"));
    tokio::spawn(kept.clone().keep());
    wait(async || kept.is_connected().then_some(())).await;
    kept
}

#[tokio::test]
async fn c10_both_versions_count_alike() {
    let redis = Redis::start().await;
    let kept = kept(&redis).await;
    let (local, mut now) = (Limiter::new(None), start());
    // The same everywhere: what follows from a number that a generator makes.
    let mut seed: u32 = 7;
    let mut random = move |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    };
    let (mut left, mut refused) = (0, 0);
    for _ in 0..2000 {
        now += TimeDelta::microseconds(random(5_000_000).into());
        let chosen = 1 + random(15);
        let quotas = [(0, 1), (1, 3), (2, 7), (3, 1000)];
        let mut charges: Vec<Charge> = quotas
            .into_iter()
            .filter(|(name, _)| chosen & (1 << name) != 0)
            .map(|(name, tries)| charge(name, tries))
            .collect();
        let first = random(4) as usize % charges.len();
        charges.rotate_left(first);
        // A process that has seen nothing yet: Redis alone decides.
        let fresh = Limiter::new(Some(kept.clone()));
        let (one, other) = (local.take(&charges, now).await, fresh.take(&charges, now).await);
        assert_eq!(one, other);
        for standing in one {
            match standing {
                Standing::Left { .. } => left += 1,
                Standing::Refused { .. } => refused += 1,
            }
        }
    }
    assert!(left > 500 && refused > 500, "{left} {refused}");
    assert_eq!(kept.failures(), 0);
}

/// What each version must do.
async fn keeps_the_contract(limiter: &Limiter) {
    let mut now = start();
    let one = charge(1, 3);
    let take = async |charges: &[Charge], now| limiter.take(charges, now).await;
    let second = TimeDelta::seconds(1);
    for left in [2, 1, 0] {
        let standing = take(&[one], now).await[0];
        let Standing::Left { tries, next_in } = standing else { panic!("{standing:?}") };
        assert_eq!((tries, next_in), (left, Duration::from_secs(20)));
    }
    // Trying in vain makes nobody wait longer.
    for _ in 0..5 {
        let wait = Duration::from_secs(20);
        assert_eq!(take(&[one], now).await, [Standing::Refused { wait }]);
    }
    // What is behind a refusal is not charged.
    let other = charge(2, 2);
    assert_eq!(take(&[one, other], now).await.len(), 1);
    let Standing::Left { tries, .. } = take(&[other], now).await[0] else { panic!("refused") };
    assert_eq!(tries, 1);
    // What is before it is.
    let third = charge(3, 2);
    assert_eq!(take(&[third, one], now).await.len(), 2);
    let Standing::Left { tries, .. } = take(&[third], now).await[0] else { panic!("refused") };
    assert_eq!(tries, 0);
    // Tries come back one by one.
    now += second * 19;
    assert_eq!(take(&[one], now).await, [Standing::Refused { wait: Duration::from_secs(1) }]);
    now += second;
    assert!(matches!(take(&[one], now).await[0], Standing::Left { tries: 0, .. }));
    now += second * 60;
    assert!(matches!(take(&[one], now).await[0], Standing::Left { tries: 2, .. }));
}

#[tokio::test]
async fn c10_the_version_of_one_process_keeps_the_contract() {
    keeps_the_contract(&Limiter::new(None)).await;
}

#[tokio::test]
async fn c10_the_version_of_all_processes_keeps_the_contract() {
    let redis = Redis::start().await;
    keeps_the_contract(&Limiter::new(Some(kept(&redis).await))).await;
    // Nothing is kept for longer than it takes to come back.
    let keys: Vec<String> = redis.ask("KEYS", &["*"]).await;
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in &keys {
        assert!(key.starts_with("test:limit:"), "{key}");
        let ttl: i64 = redis.ask("PTTL", &[key]).await;
        assert!((1..=60_000).contains(&ttl), "{ttl}");
    }
}

#[tokio::test]
async fn c10_of_50_parallel_tries_over_two_processes_each_counts() {
    let redis = Redis::start().await;
    let limiters = [Limiter::new(Some(kept(&redis).await)), Limiter::new(Some(kept(&redis).await))];
    let charges = [charge(1, 30)];
    let tries = (0..50).map(|n| limiters[n % 2].take(&charges, start()));
    let all = futures_util::future::join_all(tries).await;
    let refused = all.iter().filter(|all| matches!(all[0], Standing::Refused { .. })).count();
    assert_eq!(refused, 20);
}

/// An instance of the product with these limits of production, one of several.
async fn instance(redis: &Redis, database: Option<&TestApp>) -> TestApp {
    let mut builder = TestApp::builder().real_limits();
    if let Some(other) = database {
        builder = builder.database_url(other.database_url());
    }
    let secret = "d2f4a6b8c0e1f3a5b7c9d1e3f5a7b9c1";
    let app = builder
        .setting("REDIS_URL", &redis.url())
        .setting("TWOFOLD_AUTH__CLIENT__SECRET", secret)
        .start()
        .await;
    until_connected(&app).await;
    app
}

async fn until_connected(app: &TestApp) {
    let redis = app.core.redis.clone().expect("configured");
    wait(async || redis.is_connected().then_some(())).await;
}

async fn wrong_login(app: &TestApp, attempt: usize, email: &str) -> Answer {
    let body = json!({"email": email, "password": "not the password"});
    let request = app.post("/api/v1/auth/login", body);
    request.header("x-forwarded-for", &format!("198.51.100.{attempt}")).send().await
}

/// Of each account's ten tries, these are over.
async fn tries_until_refused(apps: &[&TestApp], email: &str) -> usize {
    for attempt in 0..50 {
        match wrong_login(apps[attempt % apps.len()], attempt, email).await {
            Answer { status: 401, .. } => {}
            answer => {
                answer.assert_error(429, "too_many_requests");
                return attempt;
            }
        }
    }
    panic!("nobody is refused");
}

#[tokio::test]
async fn c10_instances_share_the_budgets() {
    let redis = Redis::start().await;
    let one = instance(&redis, None).await;
    let two = instance(&redis, Some(&one)).await;
    assert_eq!(tries_until_refused(&[&one, &two], "ada@example.com").await, 10);
    for app in [&one, &two] {
        wrong_login(app, 100, "ada@example.com").await.assert_error(429, "too_many_requests");
    }
    // Neither addresses nor their owners are to be read there.
    let keys: Vec<String> = redis.ask("KEYS", &["*limit*"]).await;
    assert!(
        !keys.is_empty() && keys.iter().all(|key| !key.contains("ada@") && !key.contains("198.51"))
    );
}

/// `away` makes Redis go away, `back` brings it back.
async fn limits_outlast(away: impl FnOnce(&mut Redis), back: impl AsyncFnOnce(&mut Redis)) {
    let mut redis = Redis::start().await;
    let one = instance(&redis, None).await;
    let two = instance(&redis, Some(&one)).await;
    assert_eq!(tries_until_refused(&[&one], "ada@example.com").await, 10);
    away(&mut redis);
    // Who was kept out still is, and everybody else has as many tries as ever: no fault, and nothing open.
    wrong_login(&one, 100, "ada@example.com").await.assert_error(429, "too_many_requests");
    assert_eq!(tries_until_refused(&[&one], "eve@example.com").await, 10);
    assert_eq!(tries_until_refused(&[&two], "eve@example.com").await, 10);
    back(&mut redis).await;
    for app in [&one, &two] {
        until_connected(app).await;
    }
    assert_eq!(tries_until_refused(&[&one, &two], "mallory@example.com").await, 10);
    // What was used up meanwhile doesn't come back with it.
    for app in [&one, &two] {
        wrong_login(app, 100, "eve@example.com").await.assert_error(429, "too_many_requests");
    }
}

#[tokio::test]
async fn c28_a_dead_redis_opens_nothing_and_closes_nothing() {
    limits_outlast(Redis::kill, async |redis: &mut Redis| redis.start_again().await).await;
}

#[tokio::test]
async fn c28_a_stopped_redis_opens_nothing_and_closes_nothing() {
    let go_on = async |redis: &mut Redis| redis.signal(Signal::CONT);
    limits_outlast(|redis| redis.signal(Signal::STOP), go_on).await;
}

#[tokio::test]
async fn c28_a_redis_that_was_emptied_gives_nothing_back() {
    let redis = Redis::start().await;
    let app = instance(&redis, None).await;
    assert_eq!(tries_until_refused(&[&app], "ada@example.com").await, 10);
    let _: String = redis.ask("FLUSHALL", &[]).await;
    wrong_login(&app, 100, "ada@example.com").await.assert_error(429, "too_many_requests");
}

#[tokio::test]
async fn c28_what_redis_holds_that_is_no_number_lets_nobody_in_and_keeps_nobody_out() {
    let redis = Redis::start().await;
    let app = instance(&redis, None).await;
    wrong_login(&app, 1, "ada@example.com").await.assert_error(401, "invalid_credentials");
    let keys: Vec<String> = redis.ask("KEYS", &["*limit*"]).await;
    for key in keys {
        let _: String = redis.ask("SET", &[&key, "nonsense"]).await;
    }
    assert_eq!(tries_until_refused(&[&app], "ada@example.com").await, 9);
}
