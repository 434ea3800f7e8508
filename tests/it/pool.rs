//! Connections whose statements take long, or that nobody waits for any more.

use std::time::Duration;

use diesel::{dsl::sql, select, sql_types::Integer};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use futures_util::FutureExt;
use tokio::time::timeout;
use twofold::{
    adapters::clock::Clock,
    db::{Conn, Db, PoolSettings},
};

use crate::{
    db::SETTINGS,
    support::{TestDb, cluster::connect},
};

fn pool(db: &TestDb, max_size: u32) -> Db {
    let wait = Duration::from_secs(4);
    let settings = PoolSettings { max_size, wait, statement_timeout: None, ..SETTINGS };
    Db::new(db.url.clone().into(), settings, Clock::default())
}

/// Which of the server's processes works for a connection.
async fn process(conn: &mut Conn) -> i32 {
    select(sql::<Integer>("pg_backend_pid()")).get_result(conn).await.expect("asked")
}

#[tokio::test]
async fn a_busy_database_is_not_one_that_hangs() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db, 2);
    let long = async || {
        let mut conn = db.conn().await.expect("connection");
        conn.batch_execute("SELECT pg_sleep(2.5)").await
    };
    // Nothing is answered for long, and the third waits for a connection.
    let all = tokio::join!(long(), long(), db.conn());
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok(), "{:?}", (all.0, all.1));
}

#[tokio::test]
async fn connections_are_given_out_in_order() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db, 1);
    let held = db.conn().await.expect("connection");
    let mut first = Box::pin(db.conn());
    assert!((&mut first).now_or_never().is_none());
    drop(held);
    assert!(db.conn().now_or_never().is_none(), "another one waits for it");
    first.await.expect("its turn");
}

#[tokio::test]
async fn who_comes_next_does_not_wait_for_a_statement_that_was_given_up() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db, 1);
    let mut conn = db.conn().await.expect("connection");
    let before = process(&mut conn).await;
    let statement = async move { conn.batch_execute("SELECT pg_sleep(0.5)").await };
    assert!(timeout(Duration::from_millis(100), statement).await.is_err());

    let mut conn = db.conn().await.expect("connection");
    let watcher = connect(&test_db.url).await;
    let sql = "SELECT count(*) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let sleeping: i64 = watcher.query_one(sql, &[]).await.expect("asked").get(0);
    assert_eq!(sleeping, 0, "it is handed out while it works");
    assert_eq!(process(&mut conn).await, before, "it was not made anew");
}

#[tokio::test]
async fn a_connection_whose_statement_does_not_end_is_closed() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db, 1);
    let mut conn = db.conn().await.expect("connection");
    let before = process(&mut conn).await;
    let statement = async move { conn.batch_execute("SELECT pg_sleep(60)").await };
    assert!(timeout(Duration::from_millis(100), statement).await.is_err());
    let mut conn = db.conn().await.expect("connection");
    assert_ne!(process(&mut conn).await, before);
}
