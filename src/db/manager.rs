//! The pool's connections: how they are made, watched, and found to be of no more use.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    ConnectionError, ConnectionResult,
    connection::{Instrumentation, InstrumentationEvent},
};
use diesel_async::{AsyncConnection, AsyncPgConnection, pooled_connection::PoolableConnection};
use secrecy::{ExposeSecret, SecretString};

use super::{
    SqlLog,
    connect::{Driver, connect},
    pulse::{Pulse, Waiting},
    sql_log::Watch,
};
use crate::telemetry::Chain;

/// After a failure, requests fail at once for this long instead of each waiting for the pool.
const BREAKER: Duration = Duration::from_secs(1);

/// The last failure to connect, kept for the log and for failing fast.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<(Instant, String)>>);

impl Trouble {
    /// The cause, if it is fresh.
    pub fn recent(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < BREAKER).map(|(_, cause)| cause.clone())
    }

    fn record(&self, cause: String) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One line a second is enough: up to thirty connections fail at a time.
        if last.as_ref().is_none_or(|(at, _)| at.elapsed() >= BREAKER) {
            tracing::warn!("can't connect to the database: {cause}");
            *last = Some((Instant::now(), cause));
        }
    }
}

/// Makes the pool's connections, and tells which are of no more use.
pub(super) struct Manager {
    pub url: SecretString,
    pub statement_timeout: Option<Duration>,
    pub sql_log: SqlLog,
    pub pulse: Arc<Pulse>,
    /// The pool swallows failures, so they are told here; not those of a pool that was left behind.
    pub trouble: Weak<Trouble>,
}

impl bb8::ManageConnection for Manager {
    type Connection = Session;
    type Error = ConnectionError;

    async fn connect(&self) -> ConnectionResult<Session> {
        let connecting =
            connect(self.url.expose_secret(), self.statement_timeout, self.pulse.hangs());
        let (mut conn, driver) = connecting.await.inspect_err(|error| {
            if let Some(trouble) = self.trouble.upgrade() {
                trouble.record(Chain(error).to_string());
            }
        })?;
        let is_working = Arc::new(AtomicBool::new(false));
        conn.set_instrumentation(Observer {
            is_working: is_working.clone(),
            pulse: self.pulse.clone(),
            waiting: None,
            log: self.sql_log.watch(),
        });
        Ok(Session { conn, is_working, _driver: driver })
    }

    /// A `SELECT 1` at each checkout costs a quarter of the peak; asking the connection is free.
    async fn is_valid(&self, session: &mut Session) -> ConnectionResult<()> {
        if session.conn.is_broken() {
            return Err(ConnectionError::BadConnection("it was lost".to_owned()));
        }
        Ok(())
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        std::thread::panicking() || session.conn.is_broken() || session.is_working()
    }
}

/// A connection of the pool.
pub(super) struct Session {
    conn: AsyncPgConnection,
    is_working: Arc<AtomicBool>,
    _driver: Driver,
}

impl Session {
    /// Whether the last statement has not come to its end: nobody waits for it any more if nobody
    /// has this session.
    pub fn is_working(&self) -> bool {
        self.is_working.load(Ordering::Relaxed)
    }
}

impl Deref for Session {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.conn
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.conn
    }
}

/// Hears of a session's statements.
struct Observer {
    is_working: Arc<AtomicBool>,
    pulse: Arc<Pulse>,
    waiting: Option<Waiting>,
    log: Watch,
}

impl Instrumentation for Observer {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => {
                self.is_working.store(true, Ordering::Relaxed);
                self.waiting = Some(self.pulse.wait());
            }
            InstrumentationEvent::FinishQuery { error, .. } => {
                self.is_working.store(false, Ordering::Relaxed);
                self.waiting = None;
                // Losing the connection fails a statement as well, without an answer.
                if error.is_none() {
                    self.pulse.beat();
                }
            }
            _ => {}
        }
        self.log.on_connection_event(event);
    }
}
