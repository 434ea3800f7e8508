//! The kept connection to Redis, while Redis is killed, stopped, started anew and flushed.

use std::time::Duration;

use fred::{error::Error, interfaces::KeysInterface};
use futures_util::future::join_all;
use rustix::process::Signal;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use twofold::adapters::redis::{self, Kept, RedisError, Script};

use crate::support::{
    TestApp, TestDb,
    program::{Program, dir},
    redis::Redis,
    rounds, wait,
};

/// Calls wait a tenth of that; who waited for the connection or for Redis would take longer.
const SOON: Duration = Duration::from_secs(1);

struct Stage {
    redis: Redis,
    kept: Kept,
    keeping: JoinHandle<()>,
}

impl Stage {
    async fn set() -> Self {
        let redis = Redis::start().await;
        let kept = Kept::new(redis::Redis::new(&redis.url(), "test:").expect("an address"));
        let keeping = tokio::spawn(kept.clone().keep());
        let stage = Self { redis, kept, keeping };
        stage.connected().await;
        stage
    }

    async fn connected(&self) {
        wait(async || self.kept.is_connected().then_some(())).await;
    }

    async fn set_key(&self, value: &str) -> Result<(), RedisError> {
        let (key, value) = (self.kept.server().key("one"), value.to_owned());
        let set = async |client: fred::clients::Client| {
            client.set::<(), _, _>(key, value, None, None, false).await
        };
        timeout(SOON, self.kept.call(set)).await.expect("soon")
    }

    async fn key(&self) -> Result<Option<String>, RedisError> {
        let key = self.kept.server().key("one");
        let get = async |client: fred::clients::Client| client.get(key).await;
        timeout(SOON, self.kept.call(get)).await.expect("soon")
    }

    /// However many there are, all are told soon, and then at once.
    async fn assert_is_away(&self) {
        let all = timeout(SOON, join_all((0..200).map(|_| self.key()))).await.expect("soon");
        assert!(all.iter().all(Result::is_err), "{all:?}");
        assert!(!self.kept.is_connected());
        let failures = self.kept.failures();
        assert!(matches!(self.key().await, Err(RedisError::Away)));
        assert_eq!(self.kept.failures(), failures, "it was not sent");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_share_one_connection_that_is_there_again_after_each_death() {
    let mut stage = Stage::set().await;
    for round in 0..rounds(2, 20) {
        let value = round.to_string();
        stage.set_key(&value).await.expect("set");
        stage.redis.kill();
        stage.assert_is_away().await;
        stage.redis.start_again().await;
        stage.connected().await;
        assert_eq!(stage.key().await.expect("asked"), Some(value));
        let all = join_all((0..200).map(|_| stage.key())).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        // Nobody has used it when it dies, and it is noticed all the same.
        stage.redis.kill();
        wait(async || (!stage.kept.is_connected()).then_some(())).await;
        stage.redis.start_again().await;
        stage.connected().await;
    }
    let clients: String = stage.redis.ask("CLIENT", &["LIST"]).await;
    let others = clients.lines().filter(|line| !line.contains("cmd=client"));
    assert_eq!(others.count(), 1, "{clients}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_redis_keeps_nobody_waiting_and_is_used_again_when_it_goes_on() {
    let stage = Stage::set().await;
    for round in 0..rounds(2, 20) {
        stage.set_key("before").await.expect("set");
        stage.redis.signal(Signal::STOP);
        assert!(matches!(stage.set_key("late").await, Err(RedisError::TooSlow(_))));
        stage.assert_is_away().await;
        if round % 2 == 0 {
            // For so long that the connection is given up.
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert!(!stage.kept.is_connected());
        }
        stage.redis.signal(Signal::CONT);
        stage.connected().await;
        // What was given up may be done later.
        assert_eq!(stage.key().await.expect("asked").as_deref(), Some("late"));
        // Nobody has used it when it is stopped, and it is noticed all the same.
        stage.redis.signal(Signal::STOP);
        wait(async || (!stage.kept.is_connected()).then_some(())).await;
        stage.redis.signal(Signal::CONT);
        stage.connected().await;
    }
}

#[tokio::test]
async fn without_a_server_nothing_is_sent_and_no_start_waits_for_it() {
    let mut redis = Redis::start().await;
    redis.kill();
    let kept = Kept::new(redis::Redis::new(&redis.url(), "").expect("an address"));
    let keeping = tokio::spawn(kept.clone().keep());
    let get = async |client: fred::clients::Client| client.get::<(), _>("one").await;
    assert!(matches!(kept.call(get).await, Err(RedisError::Away)));
    redis.start_again().await;
    wait(async || kept.is_connected().then_some(())).await;
    kept.call(get).await.expect("asked");
    keeping.abort();
    // Whose connection nobody keeps has none.
    let unkept = Kept::new(kept.server().clone());
    assert!(matches!(unkept.call(get).await, Err(RedisError::Away)));
}

#[tokio::test]
async fn scripts_are_sent_once_and_run_after_a_flush() {
    let stage = Stage::set().await;
    let script = Script::new("return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[2]}");
    let run = async |by: i64| -> (i64, String) {
        let keys = vec![stage.kept.server().key("count")];
        stage.kept.run(&script, keys, vec![by.into(), "text".into()]).await.expect("run")
    };
    assert_eq!(run(2).await, (2, "text".to_owned()));
    assert_eq!(run(3).await, (5, "text".to_owned()));
    assert_eq!(stage.redis.ask::<i64>("GET", &["test:count"]).await, 5);
    let () = stage.redis.ask("SCRIPT", &["FLUSH"]).await;
    let () = stage.redis.ask("FLUSHALL", &[]).await;
    assert_eq!(run(1).await.0, 1);
    assert_eq!(run(1).await.0, 2);
    let stats: String = stage.redis.ask("INFO", &["commandstats"]).await;
    assert!(stats.contains("cmdstat_eval:calls=2,"), "the text was sent twice: {stats}");
    assert_eq!(stage.kept.failures(), 0);
}

#[tokio::test]
async fn an_answer_that_is_an_error_is_told_and_ends_nothing() {
    let stage = Stage::set().await;
    let () = stage.redis.ask("LPUSH", &["test:one", "x"]).await;
    let error = stage.key().await.expect_err("a list is no text");
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    assert_eq!(stage.kept.failures(), 1);
    let () = stage.redis.ask("DEL", &["test:one"]).await;
    stage.connected().await;
    stage.set_key("x").await.expect("set");
    let broken: Result<(), Error> = Err(Error::new(fred::error::ErrorKind::Unknown, "a fault"));
    stage.kept.call(async |_| broken).await.expect_err("it failed");
    stage.connected().await;
    assert_eq!(stage.key().await.expect("asked").as_deref(), Some("x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_two_lines_and_metrics_show_it() {
    let (mut redis, db, dir) = (Redis::start().await, TestDb::create().await, dir());
    let url = redis.url();
    let variables = [("DATABASE_URL", db.url.as_str()), ("REDIS_URL", &url)];
    let mut program = Program::start(dir.path(), &variables);
    let app = TestApp::builder().setting("REDIS_URL", &url).start().await;
    let connected = async |state: &str| {
        let text = app.core.metrics.render().await.expect("written");
        text.contains(&format!("\ntwofold_redis_connected {state}\n")).then_some(())
    };
    let lines = |what: &str| program.stderr().matches(what).count();
    wait(async || connected("1").await).await;
    for outage in 1..=2 {
        redis.kill();
        wait(async || connected("0").await).await;
        wait(async || (lines("Redis can't be used") == outage).then_some(())).await;
        // Each of both has tried in vain, most likely several times.
        let instead = TcpListener::bind(("127.0.0.1", redis.port)).await.expect("it is free");
        for _ in 0..6 {
            drop(instead.accept().await.expect("a try"));
        }
        drop(instead);
        redis.start_again().await;
        wait(async || connected("1").await).await;
        wait(async || (lines("Redis can be used again") == outage).then_some(())).await;
    }
    assert_eq!((lines("Redis can't be used"), lines("Redis can be used again")), (2, 2));
    assert!(!program.stderr().contains("only-for-tests"), "no password in the log");
    let text = app.core.metrics.render().await.expect("written");
    assert!(text.contains("\ntwofold_redis_failures_total 0\n"), "{text}");
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
}
