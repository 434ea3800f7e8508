//! What processes tell each other, and whether they know what they have not heard.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
};
use tokio_postgres::config::Host;
use twofold::{
    adapters::{clock::Clock, random::Random},
    db::{Bus, Topic},
};

use crate::support::{TestDb, cluster::connect, wait};

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
    let config: tokio_postgres::Config = db.url.parse().expect("an address");
    let Some(Host::Unix(folder)) = config.get_hosts().first() else { panic!("it has a socket") };
    let socket = folder.join(".s.PGSQL.5432");
    let (name, user) = (config.get_dbname().expect("named"), config.get_user().expect("named"));
    let listener_socket = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener_socket.local_addr().expect("bound").port();
    let swallowed = Arc::new(AtomicUsize::new(0));
    let forwarding = tokio::spawn({
        let swallowed = swallowed.clone();
        async move {
            while let Ok((outside, _)) = listener_socket.accept().await {
                let inside = UnixStream::connect(&socket).await.expect("the server's backlog");
                let (mut from_client, mut to_client) = outside.into_split();
                let (mut from_server, mut to_server) = inside.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                let swallowed = swallowed.clone();
                tokio::spawn(async move {
                    let mut head = [0; 5];
                    while from_server.read_exact(&mut head).await.is_ok() {
                        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
                        let mut body = vec![0; length as usize - 4];
                        if from_server.read_exact(&mut body).await.is_err() {
                            return;
                        }
                        if head[0] == b'A' {
                            swallowed.fetch_add(1, SeqCst);
                        } else if to_client.write_all(&[&head[..], &body].concat()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    let (bus, ..) = listener();
    let url = format!("postgresql://{user}@127.0.0.1:{port}/{name}");
    let running = tokio::spawn(bus.clone().run(url.into()));
    // It gives up and tries again, in vain.
    let deadline = tokio::time::timeout(Duration::from_secs(30), async {
        while swallowed.load(SeqCst) < 2 {
            assert_eq!(bus.pulse(), None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    deadline.await.expect("it tries again");
    running.abort();
    forwarding.abort();
}
