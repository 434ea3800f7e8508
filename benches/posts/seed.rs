//! Makes a database with very many posts: loaded without indexes and triggers, which are made again afterwards.

use std::{
    fmt::Write,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::{SinkExt, future::try_join_all};
use hyper::body::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_postgres::{Client, Error, NoTls};
use twofold::db::migrations;
use uuid::Uuid;

use crate::words;

/// How many users write them, the first ones the most.
const AUTHORS: u32 = 3000;
/// How many tags there are beside the one that every third post has.
pub const TAGS: u32 = 20_000;
const TITLE_WORDS: u32 = 4;
const BODY_WORDS: u32 = 20;

/// The identifier of a user.
pub fn author(number: u32) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 + u128::from(number))
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connected");
    tokio::spawn(connection);
    // Indexes of millions of rows are made in one go.
    let memory = "SET maintenance_work_mem = '2GB'";
    client.batch_execute(memory).await.expect("set");
    client
}

/// Makes `count` posts; says how long each step takes.
pub async fn seed(url: &str, count: usize) {
    let all = Instant::now();
    migrations::up(&url.to_owned().into()).await.expect("migrated");
    let sql = connect(url).await;
    let users = format!(
        "INSERT INTO users (id, email, name, password_hash, status, created_at, updated_at)
         SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, n || '@example.com', 'User ' || n, 'x',
                'active', '2020-01-01', '2020-01-01'
         FROM generate_series(0, {AUTHORS} - 1) n"
    );
    sql.batch_execute(&users).await.expect("users");
    let indexes = drop_indexes(&sql).await.expect("dropped");
    step("rows", load(url, count)).await.expect("loaded");
    step("indexes", make_indexes(url, indexes)).await.expect("made");
    step("statistics", sql.batch_execute("VACUUM (ANALYZE, FREEZE) posts, words"))
        .await
        .expect("done");
    let triggers = format!(
        "ALTER TABLE posts ENABLE TRIGGER ALL; SELECT setval('post_numbers', {count}); CHECKPOINT"
    );
    sql.batch_execute(&triggers).await.expect("as before");
    let size = "SELECT pg_size_pretty(pg_total_relation_size('posts')), pg_size_pretty(pg_table_size('posts')),
                       pg_size_pretty(pg_relation_size('posts_search'))";
    let row = sql.query_one(size, &[]).await.expect("asked");
    let [all_of_it, table, search] = [0, 1, 2].map(|index| row.get::<_, String>(index));
    println!(
        "{count} posts in {:.0?}: {all_of_it}, of which {table} are rows and {search} is the index of words\n",
        all.elapsed()
    );
}

async fn step<T>(what: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let done = work.await;
    println!("{what}: {:.0?}", started.elapsed());
    done
}

/// All but the primary key, in the order of which rows come; returns how to make them.
async fn drop_indexes(sql: &Client) -> Result<Vec<String>, Error> {
    let all = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'posts' AND indexname <> 'posts_pkey'";
    let all = sql.query(all, &[]).await?;
    sql.batch_execute(
        "ALTER TABLE posts DROP CONSTRAINT posts_slug_key; ALTER TABLE posts DISABLE TRIGGER ALL",
    )
    .await?;
    for row in &all {
        let drop = format!("DROP INDEX IF EXISTS {}", row.get::<_, String>(0));
        sql.batch_execute(&drop).await?;
    }
    Ok(all.iter().map(|row| row.get(1)).collect())
}

/// The index of words in one go, and all others meanwhile.
async fn make_indexes(url: &str, indexes: Vec<String>) -> Result<(), Error> {
    let (words, others): (Vec<_>, Vec<_>) =
        indexes.into_iter().partition(|index| index.contains("posts_search"));
    assert_eq!(words.len(), 1, "the index of words");
    let make = async |indexes: Vec<String>| {
        let sql = connect(url).await;
        for index in indexes {
            sql.batch_execute(&index).await?;
        }
        Ok(())
    };
    try_join_all([words, others].map(make)).await.map(drop)
}

/// Two at a time, some at once: the order is about that of their numbers.
async fn load(url: &str, count: usize) -> Result<(), Error> {
    const AT_ONCE: usize = 10_000;
    let next = AtomicUsize::new(0);
    let load = async |_| {
        let sql = connect(url).await;
        loop {
            let first = next.fetch_add(AT_ONCE, Ordering::Relaxed);
            if first >= count {
                return Ok(());
            }
            copy(&sql, first..(first + AT_ONCE).min(count), count).await?;
        }
    };
    try_join_all([0, 1].map(load)).await?;
    let names = connect(url).await;
    let sink =
        names.copy_in("COPY words (name, post_count, created_at, updated_at) FROM STDIN").await?;
    let mut sink = pin!(sink);
    let time = "2026-01-01Z";
    let all = f64::from(u32::try_from(count).expect("some millions"));
    for some in (0..words::COUNT).collect::<Vec<_>>().chunks(AT_ONCE) {
        let mut lines = String::new();
        for number in some {
            let posts = words::frequency(*number, TITLE_WORDS + BODY_WORDS) * all;
            let _ =
                writeln!(lines, "{}\t{:.0}\t{time}\t{time}", words::word(*number), posts.max(1.0));
        }
        sink.send(Bytes::from(lines)).await?;
    }
    sink.finish().await.map(drop)
}

async fn copy(sql: &Client, numbers: std::ops::Range<usize>, count: usize) -> Result<(), Error> {
    let mut random = StdRng::seed_from_u64(numbers.start as u64);
    let copy = "COPY posts (id, author_id, slug, title, body, html, excerpt, tags, stage, published_at, created_at,
                            updated_at, number) FROM STDIN";
    let mut sink = pin!(sql.copy_in(copy).await?);
    let mut lines = String::new();
    for number in numbers {
        line(&mut lines, &mut random, number, count);
        if lines.len() > 100_000 {
            sink.send(Bytes::from(std::mem::take(&mut lines))).await?;
        }
    }
    sink.send(Bytes::from(lines)).await?;
    sink.finish().await.map(drop)
}

/// Over five years, the last of which is this one.
fn line(lines: &mut String, random: &mut StdRng, number: usize, count: usize) {
    let years = TimeDelta::days(5 * 365).num_milliseconds();
    let since =
        years / i64::try_from(count).expect("small") * i64::try_from(number).expect("small");
    let time: DateTime<Utc> = "2021-11-01T00:00:00Z".parse().expect("a time");
    let time = time + TimeDelta::milliseconds(since);
    let millis = u128::try_from(time.timestamp_millis()).expect("late");
    let low: u64 = random.random();
    let id = Uuid::from_u128(millis << 80 | 0x7 << 76 | 0x8 << 60 | u128::from(low >> 4));
    let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let author = author(words::pick(random, AUTHORS));
    let (title, body) = (words::text(random, TITLE_WORDS), words::text(random, BODY_WORDS));
    let often = if number.is_multiple_of(3) { "often," } else { "" };
    let topic = words::pick(random, TAGS);
    let slug = title.replace(' ', "-");
    let _ = writeln!(
        lines,
        "{id}\t{author}\t{slug}-{low:016x}\t{title}\t{body}\t<p>{body}</p>\t{body}\t{{{often}topic-{topic}}}\tpublished\t\
         {time}\t{time}\t{time}\t{}",
        number + 1
    );
}
