//! Query functions on a database of their own, where HTTP can't reach their edges.

use std::{collections::BTreeSet, time::Duration};

use chrono::TimeDelta;
use twofold::{
    adapters::{clock::Clock, random::Random},
    db::{
        Db, Logged, Origin, PoolSettings, SqlLog, UnitOfWork,
        idempotency_keys::{self as keys, Claim, NewClaim},
        jobs::{self, NewJob, Priority, work},
        user_one_time_codes::{self as codes, NewCode, Purpose},
        users::{self, NewUser},
    },
};
use uuid::Uuid;

use crate::support::{TestDb, cluster::connect};

pub const SETTINGS: PoolSettings = PoolSettings {
    max_size: 3,
    min_idle: 1,
    max_lifetime: Duration::from_mins(1),
    wait: Duration::from_secs(1),
    statement_timeout: Some(Duration::from_secs(5)),
    sql_log: SqlLog { logged: Logged::None, slow: Duration::ZERO },
};

fn pool(db: &TestDb) -> Db {
    Db::new(db.url.clone().into(), SETTINGS, Clock::default())
}

fn origin() -> Origin {
    Origin::system("test")
}

fn user<'a>(email: &'a str, tx: &twofold::db::Tx) -> NewUser<'a> {
    NewUser {
        id: Random.id(tx.now),
        email,
        name: None,
        locale: None,
        password_hash: "x",
        now: tx.now,
    }
}

#[tokio::test]
async fn what_is_not_committed_is_gone_and_the_connection_lives_on() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db);
    {
        let mut tx = db.begin(&origin()).await.expect("begun");
        let new = user("ada@example.com", &tx);
        users::insert(&mut tx, new).await.expect("inserted").expect("new");
        tx.after_commit(|| panic!("it was not committed"));
    }
    let mut conn = db.conn().await.expect("connection");
    assert!(users::find_by_email(&mut conn, "ada@example.com").await.expect("asked").is_none());
    drop(conn);
    // Many more than the pool has: dropped transactions give their connections back.
    for _ in 0..20 {
        drop(db.begin(&origin()).await.expect("begun"));
    }
}

#[tokio::test]
async fn hooks_run_after_the_commit() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db);
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut tx = db.begin(&origin()).await.expect("begun");
    tx.after_commit(move || sender.send("ran").expect("the test listens"));
    assert!(receiver.try_recv().is_err());
    tx.commit().await.expect("committed");
    assert_eq!(receiver.try_recv(), Ok("ran"));
}

#[tokio::test]
async fn a_unit_of_work_is_one_transaction_that_commits_at_its_end() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db);
    let unit = UnitOfWork::new();
    let origin = Origin { unit: unit.clone(), ..origin() };
    unit.hold();
    let (sender, receiver) = std::sync::mpsc::channel();
    for email in ["ada@example.com", "grace@example.com"] {
        let mut tx = db.begin(&origin).await.expect("begun");
        let new = user(email, &tx);
        users::insert(&mut tx, new).await.expect("inserted");
        let sender = sender.clone();
        tx.after_commit(move || sender.send(email).expect("the test listens"));
        tx.commit().await.expect("put off");
    }
    let watcher = connect(&test_db.url).await;
    let rows = async || watcher.query("SELECT FROM users", &[]).await.expect("asked").len();
    assert!(rows().await == 0 && receiver.try_recv().is_err());
    let done = unit.end().expect("nothing is lost").expect("something is done");
    done.commit().await.expect("committed");
    assert_eq!(rows().await, 2);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["ada@example.com", "grace@example.com"]);
    // It has ended: commits count at once.
    db.begin(&origin).await.expect("begun").commit().await.expect("committed");
    assert!(unit.end().expect("nothing is lost").is_none());
}

#[tokio::test]
async fn a_transaction_ends_with_its_future() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db);
    let cancelled = tokio::time::timeout(Duration::from_millis(100), async {
        let mut tx = db.begin(&origin()).await.expect("begun");
        let new = user("ada@example.com", &tx);
        users::insert(&mut tx, new).await.expect("inserted");
        std::future::pending::<()>().await;
    });
    assert!(cancelled.await.is_err());
    // The address is free: nobody holds its row.
    let mut tx = db.begin(&origin()).await.expect("begun");
    let new = user("ada@example.com", &tx);
    assert!(users::insert(&mut tx, new).await.expect("inserted").is_some());
}

#[tokio::test]
async fn statements_have_a_time_limit_which_is_unavailable_and_not_a_fault() {
    use diesel_async::SimpleAsyncConnection;
    use twofold::services::{Code, ServiceError};
    let test_db = TestDb::create().await;
    let settings = PoolSettings {
        max_size: 1,
        statement_timeout: Some(Duration::from_millis(100)),
        ..SETTINGS
    };
    let db = Db::new(test_db.url.clone().into(), settings, Clock::default());
    let mut conn = db.conn().await.expect("connection");
    let error = conn.batch_execute("SELECT pg_sleep(60)").await.expect_err("too slow");
    assert_eq!(ServiceError::from(error).code, Code::Unavailable);
    let error = conn.batch_execute("SELECT nonsense").await.expect_err("no such column");
    assert_eq!(ServiceError::from(error).code, Code::Internal);
    conn.batch_execute("SELECT 1").await.expect("usable again");
    // The only connection is taken: the wait is bounded, and its cause is told.
    let error = db.conn().await.err().expect("none is free").to_string();
    assert!(error.contains("no free connection"), "{error}");
}

#[tokio::test]
async fn a_code_counts_its_tries_and_a_newer_one_replaces_it() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db);
    let mut tx = db.begin(&origin()).await.expect("begun");
    let new = user("ada@example.com", &tx);
    let id = users::insert(&mut tx, new).await.expect("inserted").expect("new").id;
    let (now, purpose) = (tx.now, Purpose::VerifyEmail);
    let code = |hash: &'static [u8], attempts| NewCode {
        user_id: id,
        purpose,
        hash,
        new_email: None,
        attempts,
        expires_at: now + TimeDelta::minutes(1),
        now,
    };
    codes::replace(&mut tx, code(b"old", 1)).await.expect("stored");
    codes::replace(&mut tx, code(b"new", 1)).await.expect("stored");
    assert!(codes::consume(&mut tx, id, purpose, b"old", now).await.expect("asked").is_none());
    let other = Purpose::ResetPassword;
    assert!(codes::consume(&mut tx, id, other, b"new", now).await.expect("asked").is_none());
    assert_eq!(codes::owner(&mut tx, other, b"new", now).await.expect("asked"), None);
    let late = now + TimeDelta::minutes(1);
    assert!(codes::consume(&mut tx, id, purpose, b"new", late).await.expect("asked").is_none());
    assert!(codes::consume(&mut tx, id, purpose, b"new", now).await.expect("asked").is_some());
    assert!(
        codes::consume(&mut tx, id, purpose, b"new", now).await.expect("asked").is_none(),
        "used up"
    );
    codes::replace(&mut tx, code(b"last", 1)).await.expect("stored");
    codes::count_attempt(&mut tx, id, purpose, now).await.expect("counted");
    assert!(codes::consume(&mut tx, id, purpose, b"last", now).await.expect("asked").is_none());
}

#[tokio::test]
async fn a_key_is_claimed_when_it_is_new_too_old_or_left_behind() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db);
    let start = Clock::default().now();
    let at = |minutes| start + TimeDelta::minutes(minutes);
    let new = |key, claim: u128, minutes| NewClaim {
        claim: Claim { key_hash: [key; 32], id: Uuid::from_u128(claim) },
        fingerprint: &[7; 32],
        leased_until: at(minutes + 1),
        expires_at: at(minutes + 10),
        now: at(minutes),
    };
    let mut conn = db.conn().await.expect("connection");
    let mut claims = async |key, claim, minutes| {
        keys::claim(&mut conn, new(key, claim, minutes)).await.expect("asked")
    };
    assert!(claims(1, 1, 0).await, "new");
    assert!(!claims(1, 2, 0).await, "in flight");
    assert!(claims(1, 3, 1).await, "its lease is over");
    let mut other = db.conn().await.expect("connection");
    let late = new(1, 1, 0).claim;
    assert!(!keys::keep_answer(&mut other, late, "{}", at(1)).await.expect("asked"), "overtaken");
    keys::release(&mut other, late).await.expect("asked");
    let holder = new(1, 3, 1).claim;
    assert!(keys::keep_answer(&mut other, holder, "{}", at(1)).await.expect("asked"));
    keys::release(&mut other, holder).await.expect("asked");
    assert!(!claims(1, 4, 10).await, "answered");
    let known = keys::find(&mut other, &[1; 32]).await.expect("asked").expect("there");
    assert_eq!((known.fingerprint, known.answer), (vec![7; 32], Some("{}".to_owned())));
    assert!(claims(1, 5, 11).await, "too old");
    let known = keys::find(&mut other, &[1; 32]).await.expect("asked").expect("there");
    assert_eq!(known.answer, None, "of the new request");
    keys::release(&mut other, new(1, 5, 11).claim).await.expect("asked");
    assert!(claims(1, 6, 11).await, "released");

    assert!(claims(2, 7, 11).await && claims(3, 8, 12).await);
    assert_eq!(keys::remove_expired(&mut other, 5, at(21)).await.expect("asked"), 2);
    assert!(keys::find(&mut other, &[3; 32]).await.expect("asked").is_some());
}

#[tokio::test]
async fn two_workers_never_take_the_same_job() {
    let test_db = TestDb::create().await;
    let db = pool(&test_db);
    let mut tx = db.begin(&origin()).await.expect("begun");
    let now = tx.now;
    let new = |id: u128| NewJob {
        id: Uuid::from_u128(id),
        queue: "default",
        kind: "test",
        payload: serde_json::Value::Null,
        priority: Priority::Normal,
        run_at: now,
        unique_key: None,
        max_attempts: 1,
        user_id: None,
        admin_id: None,
        request_id: "test",
        now,
    };
    jobs::insert(&mut tx, &[new(1), new(2)]).await.expect("stored");
    tx.commit().await.expect("committed");
    let (mut first, mut second) =
        (db.begin(&origin()).await.expect("begun"), db.begin(&origin()).await.expect("begun"));
    let queues = ["default".to_owned()];
    let (one, two) = (Uuid::from_u128(11), Uuid::from_u128(12));
    let taken = work::claim(&mut first, one, &queues, 1, now).await.expect("asked");
    let rest = work::claim(&mut second, two, &queues, 9, now).await.expect("asked");
    assert_eq!((taken.len(), rest.len()), (1, 1));
    assert_ne!(taken[0].id, rest[0].id);
}

#[tokio::test]
async fn the_pool_keeps_to_its_settings() {
    let test_db = TestDb::create().await;
    let settings = PoolSettings {
        min_idle: 2,
        max_lifetime: Duration::from_millis(200),
        wait: Duration::from_millis(200),
        ..SETTINGS
    };
    let watcher = connect(&test_db.url).await;
    let pids = async || {
        let sql = "SELECT pid FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = 'twofold'";
        let rows = watcher.query(sql, &[]).await.expect("asked");
        rows.iter().map(|row| row.get(0)).collect::<BTreeSet<i32>>()
    };
    let db = Db::new(test_db.url.clone().into(), settings, Clock::default());
    assert!(pids().await.is_empty(), "nothing is opened before the first use");
    drop(db.conn().await.expect("connection"));
    while pids().await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(db.conn().await.expect("connection"));
    }
    let before = pids().await;
    assert_eq!(before.len(), 3);
    assert!(db.conn().await.is_err(), "no more than max_size");
    db.ping().await.expect("a busy pool is no dead database");
    // They are older than max_lifetime when they come back.
    drop(held);
    while !pids().await.is_disjoint(&before) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
