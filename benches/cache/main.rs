//! How soon another process sees a change: `cargo bench --bench cache`.
//!
//! Starts the release build twice, on one private database and one Redis. Writes by way of the one and reads by way of the
//! other, again and again, until the change is seen there: of a post that both have in the cache, and of the feed.
//! Prints what was seen, also to `target/cache.txt`, and fails where a condition doesn't hold.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

#[path = "../edge/load.rs"]
#[expect(dead_code, reason = "the bench of the edge uses the rest")]
mod load;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../../tests/it/support/program.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod program;
#[path = "../../tests/it/support/redis.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod redis;
#[path = "../../tests/it/support/redis_server.rs"]
mod redis_server;
#[path = "../support/report.rs"]
mod report;

use std::time::{Duration, Instant};

use load::{Exchange, Sample, percentile, request};
use program::Program;
use redis::Redis;
use report::Report;
use serde_json::{Value, json};

const POSTS: &str = "/api/v1/posts";
/// How many changes there are of each kind.
const CHANGES: usize = 500;
/// Within which another process sees each.
const MOST: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() {
    let mut report = Report::new("cache", "two servers and one client");
    let folder = program::dir();
    let mut postgres = postgres::start(folder.path(), &[]).await;
    let redis = Redis::start().await;
    let (database, redis_url) = (postgres.url(), redis.url());
    let variables = [
        ("TWOFOLD_ENV", "test"),
        ("DATABASE_URL", database.as_str()),
        ("TWOFOLD_REDIS__URL", redis_url.as_str()),
        ("TWOFOLD_LOG__FILTER", "warn"),
    ];
    let (here, there) = (program::dir(), program::dir());
    let first = Program::start(here.path(), &variables);
    let second = Program::start(there.path(), &variables);
    let mut writer = Client::sign_in(&first, here.path(), &variables).await;
    let mut reader = Client::of(&second).await;

    report.line(&format!("       {:<58} {:>10} {:>10} {:>10}", "", "median", "p95", "longest"));
    let post = writer.published().await;
    let path = format!("{POSTS}/{post}");
    let mut samples = Vec::new();
    for number in 0..CHANGES {
        let title = format!("Change {number}");
        // Both have it, as it was.
        reader.read(&path).await;
        writer.send("PATCH", &path, &json!({"title": title})).await;
        samples.push(reader.wait_for(&path, |post| post["title"] == title.as_str()).await);
    }
    condition(&mut report, "a post that has changed", &samples);
    let mut samples = Vec::new();
    for _ in 0..CHANGES {
        reader.read(POSTS).await;
        let post = writer.published().await;
        let is_first = |feed: &Value| feed["items"][0]["id"] == post.as_str();
        samples.push(reader.wait_for(POSTS, is_first).await);
    }
    condition(&mut report, "a published post in the feed", &samples);
    drop((first, second, redis));
    postgres.stop();
    // Which may end the process.
    drop((folder, here, there));
    report.finish();
}

fn condition(report: &mut Report, what: &str, samples: &[Sample]) {
    let seen = [50, 95, 100].map(|percent| percentile(samples, percent));
    let text = seen.map(|time| format!("{:7.2} ms", time.as_secs_f64() * 1000.0)).join(" ");
    report.condition(
        &format!("{what}: seen by another process within {MOST:?}"),
        &text,
        seen[2] <= MOST,
    );
}

/// One connection to one of the servers.
struct Client {
    exchange: Exchange,
    token: Option<String>,
}

impl Client {
    async fn of(program: &Program) -> Self {
        let address = program.base.strip_prefix("http://").expect("http").parse();
        let exchange = Exchange::connect(address.expect("an address")).await.expect("it listens");
        Self { exchange, token: None }
    }

    /// As the one user there is.
    async fn sign_in(program: &Program, dir: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let seeded = program::run(dir, &["seed", "--users", "1", "--json"], variables);
        assert!(seeded.status.success(), "{}", program::stderr(&seeded));
        let seeded: Value = serde_json::from_slice(&seeded.stdout).expect("JSON");
        let login =
            json!({"email": "user000001@demo.example", "password": seeded["password"].clone()});
        let mut client = Self::of(program).await;
        let signed_in = client.send("POST", "/api/v1/auth/login", &login).await;
        client.token = signed_in["access_token"].as_str().map(str::to_owned);
        client
    }

    /// The data of what is answered.
    async fn send(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let text = (!body.is_null()).then(|| body.to_string());
        let request = request(method, path, self.token.as_deref(), text.as_deref());
        let answer = self.exchange.send(&request).await.expect("an answer");
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert!(answer.status < 300, "{method} {path}: {body}");
        body["data"].clone()
    }

    async fn read(&mut self, path: &str) -> Value {
        self.send("GET", path, &Value::Null).await
    }

    /// The identifier of a post that was published just now.
    async fn published(&mut self) -> String {
        let created = self.send("POST", POSTS, &json!({"title": "A post", "body": "x"})).await;
        let id = created["id"].as_str().expect("an identifier").to_owned();
        self.send("POST", &format!("{POSTS}/{id}/publish"), &Value::Null).await;
        id
    }

    /// How long it takes until what is read there is so.
    async fn wait_for(&mut self, path: &str, is_so: impl Fn(&Value) -> bool) -> Sample {
        let started = Instant::now();
        while !is_so(&self.read(path).await) {
            assert!(started.elapsed() < Duration::from_secs(30), "{path} stays as it was");
        }
        (200, started.elapsed())
    }
}
