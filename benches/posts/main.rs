//! Feed and search of 10,000,000 posts: `cargo bench --bench posts`; `TWOFOLD_BENCH_POSTS` is another number of them.
//! With `TWOFOLD_BENCH_FOLDER` the database stays there, and is used again as it is; else it is gone at the end.
//!
//! Starts the release build on a private database, all of which has been read once, with its cache off. Asks for the first
//! page of feeds and for one that is far behind it, in turns: both must cost the same. Searches for words of every
//! frequency, one and two at a time, for beginnings of words and for what nobody has written. Prints what was seen, also
//! to `target/posts.txt`, and fails where a condition doesn't hold.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

#[path = "../edge/cores.rs"]
mod cores;
#[path = "../edge/load.rs"]
#[expect(dead_code, reason = "the bench of the edge uses the rest")]
mod load;
#[path = "../support/pages.rs"]
mod pages;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../../tests/it/support/program.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod program;
#[path = "../support/report.rs"]
mod report;
mod seed;
mod words;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use cores::Cores;
use load::{Exchange, Sample, percentile, request};
use pages::millis;
use program::Program;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use report::Report;
use serde_json::Value;
use words::word;

const POSTS: usize = 10_000_000;
/// The page that is compared with the first one, of 20 posts each.
const DEEP: usize = 10_000;
/// How many searches there are of each kind.
const SEARCHES: usize = 200;
/// In milliseconds.
const MOST: f64 = 50.0;

const SETTINGS: [&str; 7] = [
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=1h",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
];

fn count() -> usize {
    let count = std::env::var("TWOFOLD_BENCH_POSTS");
    count.map_or(POSTS, |count| count.parse().expect("a number of posts"))
}

#[tokio::main]
async fn main() {
    let kept = std::env::var_os("TWOFOLD_BENCH_FOLDER").map(PathBuf::from);
    let temporary = tempfile::tempdir().expect("directory");
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let is_seeded = folder.join("seeded");
    let mut postgres = postgres::start(folder, &SETTINGS).await;
    let url = postgres.url();
    if !is_seeded.exists() {
        seed::seed(&url, count()).await;
        fs::write(&is_seeded, "").expect("written");
    }

    let cores = Cores::split();
    let mut report = Report::new("posts", &cores.to_string());
    let variables = [
        ("TWOFOLD_ENV", "test"),
        ("DATABASE_URL", url.as_str()),
        ("TWOFOLD_LOG__FILTER", "warn"),
        ("TWOFOLD_CACHE__ENABLED", "false"),
    ];
    let dir = program::dir();
    let server = cores.as_server(|| Program::start(dir.path(), &variables));
    let address = server.base.strip_prefix("http://").expect("http").parse().expect("an address");
    read_all(&folder.join("postgres")).expect("read");
    searches(&mut report, address).await;
    tags(&mut report, address).await;
    report.line("");
    // The feeds of a tag and of an author are shorter.
    let deep = DEEP.min(count() / 400);
    pages::heading(&mut report, deep);
    let author = format!("author_id={}&", seed::author(0));
    for (list, filter) in [
        ("the feed", ""),
        ("the feed, the oldest first", "sort=published_at&"),
        ("the feed of a tag that every third post has", "tag=often&"),
        ("the feed of an author of one post in twelve", &author),
    ] {
        let ask = |cursor: Option<&str>| {
            let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            get(&format!("/api/v1/posts?{filter}limit=20{cursor}"))
        };
        pages::compare(&mut report, address, (list, deep), ask).await;
    }
    drop(server);
    postgres.stop();
    // Which may end the process.
    drop(temporary);
    report.finish();
}

/// Has the system keep in memory what it can of all files there, as it does after some hours.
fn read_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            read_all(&entry.path())?;
        } else if let Ok(mut file) = fs::File::open(entry.path()) {
            io::copy(&mut file, &mut io::sink())?;
        }
    }
    Ok(())
}

fn get(path: &str) -> Vec<u8> {
    request("GET", path, None, None)
}

/// Words of every frequency.
async fn searches(report: &mut Report, address: SocketAddr) {
    type Text = fn(&mut StdRng) -> String;
    /// In more than 30 % of the posts; in 10 to 0.1 %; in a hundred or so.
    const FREQUENT: std::ops::Range<u32> = 0..6;
    const MIDDLING: std::ops::Range<u32> = 20..2000;
    const RARE: std::ops::Range<u32> = 100_000..words::COUNT;
    fn one(random: &mut StdRng, of: std::ops::Range<u32>) -> String {
        word(random.random_range(of))
    }
    /// The first letters of a word.
    fn beginning(random: &mut StdRng, letters: usize) -> String {
        word(random.random_range(10_000..words::COUNT))[..letters].to_owned()
    }
    let kinds: [(&str, Text); 12] = [
        ("a frequent word", |random| one(random, FREQUENT)),
        ("two frequent words", |random| one(random, FREQUENT) + "%20" + &one(random, FREQUENT)),
        ("a frequent word and a rare one", |random| {
            one(random, FREQUENT) + "%20" + &one(random, RARE)
        }),
        ("a middling word", |random| one(random, MIDDLING)),
        ("two middling words", |random| one(random, MIDDLING) + "%20" + &one(random, MIDDLING)),
        ("a rare word", |random| one(random, RARE)),
        ("the first letter of words", |random| beginning(random, 1)),
        ("the first two letters", |random| beginning(random, 2)),
        ("the first three letters", |random| beginning(random, 3)),
        ("the first five letters", |random| beginning(random, 5)),
        ("a frequent word and three letters", |random| {
            one(random, FREQUENT) + "%20" + &beginning(random, 3)
        }),
        ("a word that no post has", |random| one(random, RARE) + "xyz"),
    ];
    report.line(&format!("       {:<58} {:>10} {:>10} {:>6}", "", "median", "p95", "found"));
    let (mut random, mut all) = (StdRng::seed_from_u64(7), Vec::new());
    for (kind, text) in kinds {
        let texts = (0..SEARCHES).map(|_| format!("/api/v1/posts/search?q={}", text(&mut random)));
        let paths: Vec<String> = texts.collect();
        let (samples, found) = measure(address, &paths).await;
        condition(report, &format!("search for {kind}"), &samples, &found);
        all.extend(samples);
    }
    condition(report, "search for any of these: p95 <= 50 ms", &all, "");
}

/// The first page of tags of every frequency, for which no time is asked.
async fn tags(report: &mut Report, address: SocketAddr) {
    for (kind, tags) in [("frequent", 0..10), ("middling", 100..300), ("rare", 10_000..seed::TAGS)]
    {
        let tags = tags.step_by(7).take(SEARCHES);
        let paths: Vec<String> = tags.map(|tag| format!("/api/v1/posts?tag=topic-{tag}")).collect();
        let (samples, found) = measure(address, &paths).await;
        report.line(&format!(
            "       {:<58} {}",
            format!("the feed of a {kind} tag"),
            seen(&samples, &found)
        ));
    }
}

/// Asks for each of them once; also, how many are found by one, about.
async fn measure(address: SocketAddr, paths: &[String]) -> (Vec<Sample>, String) {
    let mut exchange = Exchange::connect(address).await.expect("it listens");
    let (mut samples, mut found) = (Vec::new(), 0);
    for path in paths {
        let started = Instant::now();
        let answer = exchange.send(&get(path)).await.expect("an answer");
        samples.push((answer.status, started.elapsed()));
        assert_eq!(answer.status, 200, "{path}");
        let page: Value = serde_json::from_slice(&answer.body).expect("JSON");
        found += page["data"]["items"].as_array().map_or(0, Vec::len);
    }
    (samples, format!("{:>6}", found / paths.len()))
}

/// The time that 95 of 100 take at most.
fn condition(report: &mut Report, what: &str, samples: &[Sample], found: &str) {
    let holds = millis(percentile(samples, 95)) <= MOST;
    report.condition(what, &seen(samples, found), holds);
}

fn seen(samples: &[Sample], found: &str) -> String {
    let [median, p95] = [50, 95].map(|percent| millis(percentile(samples, percent)));
    format!("{median:7.2} ms {p95:7.2} ms {found}")
}
