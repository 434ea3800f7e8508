//! What processes tell each other, and whether they know what they have not heard.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use twofold::{
    adapters::{clock::Clock, random::Random},
    db::{Bus, Topic},
};

use crate::support::{TestDb, cluster::connect, pg_proxy::PgProxy, wait};

const SESSIONS: &str = "twofold_sessions";

/// A bus, and what it has heard of sessions.
fn listener() -> (Bus, Clock, Arc<Mutex<Vec<String>>>) {
    let clock = Clock::default();
    let (bus, heard) = (Bus::new(clock.clone(), Random), Arc::<Mutex<Vec<String>>>::default());
    bus.hear(Topic::Sessions, {
        let heard = heard.clone();
        move |told| heard.lock().expect("whole").extend(told.map(str::to_owned))
    });
    (bus, clock, heard)
}

#[tokio::test]
async fn who_feels_the_pulse_has_heard_all_that_came_before() {
    let db = TestDb::create().await;
    let (bus, _, heard) = listener();
    assert_eq!(bus.pulse(), None);
    let running = tokio::spawn(bus.clone().run(db.url.clone().into()));
    let first = wait(async || bus.pulse()).await;
    assert!(first.since <= first.database_time && first.server < first.since);
    let client = connect(&db.url).await;
    for number in 0..100 {
        let notify = format!("NOTIFY {SESSIONS}, '{number}'");
        client.batch_execute(&notify).await.expect("told");
    }
    let told = std::time::Instant::now();
    let later = wait(async || bus.pulse().filter(|pulse| pulse.as_of > told)).await;
    let all: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(*heard.lock().expect("whole"), all);
    assert_eq!((later.since, later.server), (first.since, first.server));
    assert!(later.database_time > first.database_time);
    running.abort();
}

#[tokio::test]
async fn a_bus_that_was_cut_off_knows_that_it_may_have_missed_something() {
    let db = TestDb::create().await;
    let (bus, ..) = listener();
    let running = tokio::spawn(bus.clone().run(db.url.clone().into()));
    let mut before = wait(async || bus.pulse()).await;
    let client = connect(&db.url).await;
    for end in ["query LIKE 'LISTEN%'", "query LIKE '%pg_notify%'"] {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND {end}"
        );
        assert_eq!(client.query(&sql, &[]).await.expect("asked").len(), 1, "{end}");
        let row = client.query_one("SELECT clock_timestamp()", &[]).await.expect("asked");
        let ended: std::time::SystemTime = row.get(0);
        let after = wait(async || bus.pulse().filter(|pulse| pulse.since > before.since)).await;
        assert!(after.since > chrono::DateTime::<chrono::Utc>::from(ended), "{end}");
        assert_eq!(after.server, before.server);
        before = after;
    }
    running.abort();
}

#[tokio::test]
async fn an_old_pulse_is_none() {
    let db = TestDb::create().await;
    let (bus, clock, _) = listener();
    let running = tokio::spawn(bus.clone().run(db.url.clone().into()));
    wait(async || bus.pulse()).await;
    running.abort();
    let _ = running.await;
    clock.advance(chrono::TimeDelta::seconds(1));
    assert_eq!(bus.pulse(), None);
}

/// A pooler that lends sessions for a transaction lets everything through, but notifications.
#[tokio::test]
async fn a_bus_to_which_nothing_comes_through_has_no_pulse() {
    let db = TestDb::create().await;
    let proxy = PgProxy::to(&db.url).await;
    let (bus, ..) = listener();
    let running = tokio::spawn(bus.clone().run(proxy.url.clone().into()));
    wait(async || bus.pulse()).await;
    proxy.swallow_notifications();
    wait(async || bus.pulse().is_none().then_some(())).await;
    // It gives up and tries again, in vain.
    let deadline = tokio::time::timeout(Duration::from_secs(30), async {
        while proxy.swallowed() < 2 {
            assert_eq!(bus.pulse(), None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    deadline.await.expect("it tries again");
    running.abort();
}
