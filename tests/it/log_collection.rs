//! Log lines by way of Redis into files: real processes, which are killed and stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{NaiveDate, Utc};
use fred::interfaces::StreamsInterface;
use reqwest::Method;
use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::Signal,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    TestDb,
    http::Request,
    program::{Program, dir, run, stderr},
    redis::Redis,
    rounds,
};

/// How long what happens by itself may take.
const LIMIT: Duration = Duration::from_secs(30);

const STREAM: &str = "twofold:development:logs";

/// Each request is a try of a password.
const MANY_TRIES: [(&str, &str); 2] = [
    ("TWOFOLD_LIMITS__PASSWORD__PER_CLIENT", "1000000"),
    ("TWOFOLD_LIMITS__PASSWORD__PER_ACCOUNT", "1000000"),
];

/// An instance whose lines go to Redis, and a place for what is collected.
struct Stage {
    redis: Redis,
    db: TestDb,
    /// Of the instance.
    dir: TempDir,
    collected: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let (redis, db) = (Redis::start().await, TestDb::create().await);
        Self { redis, db, dir: dir(), collected: dir() }
    }

    fn instance(&self, sinks: &str) -> Program {
        let variables = [
            ("DATABASE_URL", self.db.url.as_str()),
            ("REDIS_URL", &self.redis.url()),
            ("TWOFOLD_LOG__SINKS", sinks),
            ("TWOFOLD_LOG__FORMAT", "json"),
            MANY_TRIES[0],
            MANY_TRIES[1],
        ];
        Program::start(self.dir.path(), &variables)
    }

    fn consumer(&self) -> Program {
        consumer(&self.redis, self.collected.path(), &self.collected.path().join("logs"))
    }

    /// The lines in local files, by category.
    fn local(&self, category: &str) -> Vec<Value> {
        lines(&self.dir.path().join("logs"), category)
    }

    fn collected(&self, category: &str) -> Vec<Value> {
        lines(&self.collected.path().join("logs"), category)
    }
}

/// One of those who collect into `logs`.
fn consumer(redis: &Redis, dir: &Path, logs: &Path) -> Program {
    let logs = logs.to_str().expect("UTF-8");
    let variables = [("REDIS_URL", &*redis.url()), ("TWOFOLD_LOG__DIR", logs)];
    Program::start_command(dir, &["log-consumer"], &variables)
}

fn files(dir: &Path, category: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_of = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(category))
    };
    entries.filter(is_of).collect()
}

/// All whole lines; one that is being written is none yet.
fn lines(dir: &Path, category: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    for file in files(dir, category) {
        let text = fs::read_to_string(file).expect("readable");
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.extend(whole.filter_map(|line| serde_json::from_str::<Value>(line).ok()));
    }
    lines
}

fn of_request<'a>(lines: &'a [Value], id: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["span"]["request_id"] == id).collect()
}

/// A request that is logged in both categories.
async fn request(program: &Program, id: &str) {
    let url = format!("{}/api/v1/auth/login", program.base);
    let body = json!({"email": "nobody@example.com", "password": "long enough for it"});
    let request = Request::new(&reqwest::Client::new(), Method::POST, url).json(body);
    assert_eq!(request.header("x-request-id", id).send().await.status, 401);
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn stop(program: &mut Program) {
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0), "{}", program.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_collected_with_their_request_id_and_category() {
    let stage = Stage::set().await;
    let mut instance = stage.instance("redis");
    request(&instance, "mine-1").await;
    stop(&mut instance);
    assert_eq!((stage.local("application"), stage.local("sql")), (vec![], vec![]));
    assert_eq!(instance.stderr(), "", "the terminal is no sink");

    let mut consumer = stage.consumer();
    until("the last line", || {
        stage.collected("application").iter().any(|line| line["message"] == "stopped")
    })
    .await;
    stop(&mut consumer);
    let (application, sql) = (stage.collected("application"), stage.collected("sql"));
    let answered = of_request(&application, "mine-1");
    assert_eq!(answered.len(), 1, "{application:?}");
    assert_eq!(answered[0]["message"], "answered");
    let statements = of_request(&sql, "mine-1");
    assert!(!statements.is_empty() && statements.iter().all(|line| line["statement"].is_string()));
    assert!(application.iter().all(|line| line["target"] != "twofold::sql"));
    assert!(sql.iter().all(|line| line["target"] == "twofold::sql"));

    let all = application.len() + sql.len();
    let ids: BTreeSet<&str> =
        application.iter().chain(&sql).filter_map(|line| line["stream_id"].as_str()).collect();
    assert_eq!(ids.len(), all, "each has an id of its own");
    let told = consumer.stdout();
    assert!(told.contains(&format!("collected {all} lines")), "{told}");
    let left: u64 = stage.redis.ask("XLEN", &[STREAM]).await;
    assert!(left <= 1, "{left} lines are still in Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sinks_have_the_same_lines() {
    let stage = Stage::set().await;
    let mut instance = stage.instance("stdout,file,redis");
    request(&instance, "mine-1").await;
    stop(&mut instance);
    let mut consumer = stage.consumer();
    until("the last line", || {
        stage.collected("application").iter().any(|line| line["message"] == "stopped")
    })
    .await;
    stop(&mut consumer);
    for category in ["application", "sql"] {
        let mut collected = stage.collected(category);
        for line in &mut collected {
            line.as_object_mut().expect("an object").remove("stream_id");
        }
        let mut local = stage.local(category);
        assert!(!of_request(&local, "mine-1").is_empty(), "{category}: {local:?}");
        // Two threads at the same time may be told to one sink in another order than to the other.
        for lines in [&mut collected, &mut local] {
            lines.sort_by_key(|line| format!("{}{}", line["timestamp"], line["statement"]));
        }
        assert_eq!(collected, local, "{category}");
    }
    let terminal = instance.stderr();
    assert!(terminal.contains("mine-1") && !terminal.contains("twofold::sql"), "{terminal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_dead_lines_go_to_local_files() {
    let mut stage = Stage::set().await;
    let mut consumer = stage.consumer();
    let mut instance = stage.instance("stdout,redis");
    let collected =
        |stage: &Stage, id: &str| !of_request(&stage.collected("application"), id).is_empty();
    // What Redis hasn't confirmed goes to local files as well. Lines go one batch after the other, so the
    // first one's is confirmed when the second one is there.
    for id in ["before", "next"] {
        request(&instance, id).await;
        until("it is collected", || collected(&stage, id)).await;
    }

    stage.redis.kill();
    request(&instance, "during").await;
    until("the line is here", || {
        let (application, sql) = (stage.local("application"), stage.local("sql"));
        !of_request(&application, "during").is_empty() && !of_request(&sql, "during").is_empty()
    })
    .await;
    stage.redis.start_again().await;
    until("it notices", || instance.stderr().contains("log lines go to Redis again")).await;
    request(&instance, "after").await;
    until("the last one is collected", || collected(&stage, "after")).await;
    stop(&mut instance);
    stop(&mut consumer);

    for (id, is_here) in [("before", false), ("during", true), ("after", false)] {
        for category in ["application", "sql"] {
            let (local, collected) = (stage.local(category), stage.collected(category));
            assert_eq!(of_request(&local, id).is_empty(), !is_here, "{id}, {category}: {local:?}");
            assert_eq!(of_request(&collected, id).is_empty(), is_here, "{id}, {category}");
        }
    }
    let told = instance.stderr().matches("log lines go to local files instead").count();
    assert_eq!(told, 1, "{}", instance.stderr());
    assert!(consumer.stderr().contains("can't be collected for the moment"));
    assert!(consumer.stderr().contains("log lines are collected again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_stopped_requests_are_answered_and_no_line_is_lost() {
    let stage = Stage::set().await;
    let mut instance = stage.instance("redis");
    request(&instance, "before").await;
    stage.redis.signal(Signal::STOP);
    let ids: Vec<String> = (0..50).map(|number| format!("during-{number}")).collect();
    for id in &ids {
        request(&instance, id).await;
    }
    // Neither does it keep the process from ending.
    stop(&mut instance);
    let (application, sql) = (stage.local("application"), stage.local("sql"));
    for id in &ids {
        // The first of them also tells that Redis can't count its try.
        let lines = of_request(&application, id);
        let answered = lines.iter().filter(|line| line["message"] == "answered");
        assert_eq!(answered.count(), 1, "{id}");
        assert!(!of_request(&sql, id).is_empty(), "{id}");
    }
    assert!(application.iter().any(|line| line["message"] == "stopped"));
    stage.redis.signal(Signal::CONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_collects_does_not_push_out_lines() {
    let stage = Stage::set().await;
    // All but full.
    let fill = "for _ = 1, 899999 do redis.call('XADD', KEYS[1], '*', 'application', '{}') end";
    let () = stage.redis.ask("EVAL", &[fill, "1", STREAM]).await;
    let mut instance = stage.instance("stdout,redis");
    request(&instance, "mine-1").await;
    stop(&mut instance);
    assert!(!of_request(&stage.local("application"), "mine-1").is_empty());
    assert!(!of_request(&stage.local("sql"), "mine-1").is_empty());
    let (first, terminal) = (stage.redis.ask("XLEN", &[STREAM]).await, instance.stderr());
    assert!((900_000..1_000_000).contains::<u64>(&first), "{first}");
    assert!(terminal.contains("does `twofold log-consumer` run?"), "{terminal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_nothing_takes_are_counted() {
    let (db, dir) = (TestDb::create().await, dir());
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).expect("directory");
    let today = today();
    // A file that takes nothing once nobody reads it; both days, should it be midnight.
    let pipes: Vec<_> = [today, today.succ_opt().expect("a day")]
        .map(|day| {
            let pipe = logs.join(format!("application.{day}.log"));
            mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
            fs::File::options().read(true).write(true).open(pipe).expect("opened")
        })
        .into();
    let variables = [
        ("DATABASE_URL", db.url.as_str()),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("TWOFOLD_LOG__SINKS", "stdout,redis"),
        MANY_TRIES[0],
        MANY_TRIES[1],
    ];
    let mut instance = Program::start(dir.path(), &variables);
    drop(pipes);
    for number in 0..100 {
        request(&instance, &format!("mine-{number}")).await;
    }
    until("it is told", || instance.stderr().contains("log lines were dropped")).await;
    stop(&mut instance);
}

#[test]
fn without_redis_there_is_nothing_to_collect_from() {
    let dir = dir();
    let output = run(dir.path(), &["log-consumer"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("set REDIS_URL"), "{}", stderr(&output));
}

/// The day of the lines that a test makes.
#[expect(clippy::disallowed_methods, reason = "the program has a clock of its own")]
fn today() -> NaiveDate {
    Utc::now().date_naive()
}

/// Lines in the form that instances give them, with these numbers.
async fn add_lines(redis: &Redis, day: NaiveDate, numbers: Range<usize>) {
    let connection = redis.connect().await;
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(500) {
        let pipeline = connection.pipeline();
        for number in some {
            let line = format!(
                r#"{{"timestamp":"{day}T12:00:00.000000Z","level":"INFO","message":"a line","number":{number}}}"#
            );
            let field = ("application", line);
            let () = pipeline.xadd(STREAM, false, None, "*", field).await.expect("noted");
        }
        let _: Vec<String> = pipeline.all().await.expect("added");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_survive_the_death_of_consumers() {
    let count = rounds(100_000, 1_000_000);
    let redis = Redis::start().await;
    let (place, homes) = (dir(), [dir(), dir()]);
    let logs = place.path().join("logs");
    // They wait for the file once they have got lines, and die so.
    let (day, waiting) = (today(), 10_000);
    fs::create_dir(&logs).expect("directory");
    let file = logs.join(format!("application.{day}.log"));
    let file = fs::File::options().create(true).append(true).open(file).expect("made");
    file.lock().expect("locked");
    add_lines(&redis, day, 0..waiting).await;
    let start = |home: &TempDir| consumer(&redis, home.path(), &logs);
    let mut consumers = homes.each_ref().map(start);
    let started = Instant::now();
    while pending(&redis).await == 0 {
        assert!(started.elapsed() < LIMIT, "lines are confirmed that are nowhere");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for consumer in &mut consumers {
        consumer.signal(Signal::KILL);
        consumer.wait();
    }
    drop(file);
    consumers = homes.each_ref().map(start);

    let size = || files(&logs, "application").iter().map(|file| size_of(file)).sum::<u64>();
    let deaths = async {
        for turn in 0..rounds(4, 40) {
            // While they are at work.
            let before = size();
            until("they write", || size() > before).await;
            let which = turn % 2;
            consumers[which].signal(Signal::KILL);
            consumers[which].wait();
            consumers[which] = start(&homes[which]);
        }
    };
    tokio::join!(add_lines(&redis, day, waiting..count), deaths);

    // Only what is confirmed is removed.
    let started = Instant::now();
    while redis.ask::<u64>("XLEN", &[STREAM]).await > 1 {
        assert!(started.elapsed() < 4 * LIMIT, "never collected");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    consumers.iter_mut().for_each(stop);
    let collected = lines(&logs, "application");
    let mut by_number: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for line in &collected {
        let id = line["stream_id"].as_str().expect("an id");
        by_number.entry(line["number"].as_u64().expect("a number")).or_default().insert(id);
    }
    assert_eq!(by_number.len(), count, "lost lines");
    assert!(by_number.values().all(|ids| ids.len() == 1), "what is double has the same id");
    println!("{count} lines, {} written twice", collected.len() - count);
}

/// How many lines consumers have got and not confirmed.
async fn pending(redis: &Redis) -> u64 {
    let summary: fred::types::Value = redis.ask("XPENDING", &[STREAM, "files"]).await;
    summary.into_array().first().and_then(fred::types::Value::as_u64).unwrap_or_default()
}

fn size_of(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}
