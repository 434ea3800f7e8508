//! Finds out that the database hangs: it takes what is sent and answers nothing, so that none of
//! its own limits hold.
//!
//! While somebody waits for it and no statement is answered, the database is asked for nothing on a
//! connection of its own. A database that is only slow, busy or full answers that; one that is
//! dead refuses, which the pool hears of by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Mutex, watch},
    time::{sleep, timeout},
};

use super::{
    DbError,
    connect::{Driver, connect},
};
use crate::telemetry::Chain;

/// After this time in which somebody waited and nothing was answered, it is asked. Twice this time,
/// for the last answer may have come at its beginning, and [`PATIENCE`] make 1.4 s.
const QUIET: Duration = Duration::from_millis(200);
/// So many such times without an answer, one after the other, mean that it hangs: a process that
/// was itself stopped for long, or short of CPU, still gets to see the answer that came meanwhile.
const PATIENCE: (u32, Duration) = (10, Duration::from_millis(100));
/// While it hangs, a new connection is tried after this time: the old one may lead nowhere.
const RETRY: Duration = Duration::from_secs(2);

/// Whether the database answers.
pub(super) struct Pulse {
    url: SecretString,
    /// How many wait for it.
    waiting: AtomicUsize,
    is_watched: AtomicBool,
    /// Some statement was answered since it was last looked.
    answered: AtomicBool,
    hangs: watch::Sender<bool>,
    probe: Mutex<Option<(AsyncPgConnection, Driver)>>,
}

/// Somebody waits for the database.
pub(super) struct Waiting(Arc<Pulse>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pulse {
    /// Connects to nothing yet.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            waiting: AtomicUsize::new(0),
            is_watched: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            hangs: watch::Sender::new(false),
            probe: Mutex::default(),
        }
    }

    /// The database is watched as long as the returned value lives.
    pub fn wait(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if !self.is_watched.swap(true, Ordering::SeqCst) {
            tokio::spawn(self.clone().watch());
        }
        Waiting(self.clone())
    }

    /// A statement was answered.
    pub fn beat(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// While the database hangs.
    pub fn check(&self) -> Result<(), DbError> {
        if *self.hangs.borrow() { Err(hung()) } else { Ok(()) }
    }

    /// Done when the database is found to hang.
    pub fn hangs(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut hangs = self.hangs.subscribe();
        async move {
            let _ = hangs.wait_for(|hangs| *hangs).await;
        }
    }

    /// Asks the database for nothing.
    ///
    /// # Errors
    /// When it can't be reached, or fails.
    pub async fn ping(&self) -> Result<(), DbError> {
        const NOTHING: &str = "SELECT 1";
        let mut probe = self.probe.lock().await;
        // Taken out, so that a probe that is given up half-way takes its connection along.
        if let Some((mut conn, driver)) = probe.take()
            && conn.batch_execute(NOTHING).await.is_ok()
        {
            *probe = Some((conn, driver));
            return Ok(());
        }
        // The database may have ended the other connection meanwhile, and be well.
        let connected = connect(self.url.expose_secret(), None, future::pending()).await;
        let (mut conn, driver) =
            connected.map_err(|error| DbError::Unavailable(Chain(&error).to_string()))?;
        conn.batch_execute(NOTHING).await?;
        *probe = Some((conn, driver));
        Ok(())
    }

    /// Runs as long as somebody waits.
    async fn watch(self: Arc<Self>) {
        loop {
            self.answered.store(false, Ordering::Relaxed);
            sleep(QUIET).await;
            if self.waiting.load(Ordering::SeqCst) == 0 {
                self.is_watched.store(false, Ordering::SeqCst);
                // Somebody may have come between these two lines, and found it watched.
                let is_needed = self.waiting.load(Ordering::SeqCst) > 0;
                if !is_needed || self.is_watched.swap(true, Ordering::SeqCst) {
                    return;
                }
            } else if !self.answered.load(Ordering::Relaxed) {
                self.examine().await;
            }
        }
    }

    /// Asks, and returns when there is an answer; an error is one, for who is dead doesn't hang.
    async fn examine(&self) {
        let mut ping = Box::pin(self.ping());
        let (patience, pause) = PATIENCE;
        let mut unanswered = 0;
        while unanswered < patience {
            if timeout(pause, &mut ping).await.is_ok() {
                return;
            }
            let is_alive = self.answered.swap(false, Ordering::Relaxed);
            unanswered = if is_alive { 0 } else { unanswered + 1 };
        }
        tracing::warn!("the database does not answer; what waits for it is given up");
        self.hangs.send_replace(true);
        while timeout(RETRY, &mut ping).await.is_err() {
            ping = Box::pin(self.ping());
        }
        tracing::info!("the database answers again");
        self.hangs.send_replace(false);
    }
}

/// What callers get while the database hangs.
pub(super) fn hung() -> DbError {
    DbError::Unavailable("it does not answer".to_owned())
}
