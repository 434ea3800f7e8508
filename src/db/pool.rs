//! The connection pool: made on first use, waits briefly, and says why there is no connection.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bb8::{Pool, PooledConnection};
use diesel_async::{
    AsyncConnection, SimpleAsyncConnection, TransactionManager,
    pooled_connection::PoolableConnection,
};
use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use super::{
    Conn, DbError, Origin, SqlLog, Tx,
    manager::{Manager, Trouble},
    pulse::{Pulse, hung},
};
use crate::adapters::clock::Clock;

/// Size and times of the pool.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    pub max_size: u32,
    pub min_idle: u32,
    pub max_lifetime: Duration,
    pub wait: Duration,
    /// Set on each connection. `None` behind a pooler that shares sessions.
    pub statement_timeout: Option<Duration>,
    pub sql_log: SqlLog,
}

/// The database. Clones share one pool.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    url: SecretString,
    settings: PoolSettings,
    clock: Clock,
    pool: OnceLock<Pool<Manager>>,
    /// One for each connection, in order: bb8 gives one that comes back to whoever asks next, so that
    /// with many callers some would wait until their time is over.
    turns: Arc<Semaphore>,
    trouble: Arc<Trouble>,
    pulse: Arc<Pulse>,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Db {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(url: SecretString, settings: PoolSettings, clock: Clock) -> Self {
        let pulse = Arc::new(Pulse::new(url.clone()));
        let turns = Arc::new(Semaphore::new(settings.max_size as usize));
        let (pool, trouble) = (OnceLock::new(), Arc::default());
        Self { inner: Arc::new(Inner { url, settings, clock, pool, turns, trouble, pulse }) }
    }

    /// A connection for reads and single statements.
    ///
    /// Take one at a time: a second while holding one starves the pool.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when there is none within the configured wait; at once right after
    /// such a failure, and while the database hangs.
    pub async fn conn(&self) -> Result<Pooled, DbError> {
        let Inner { settings, pool, turns, trouble, pulse, .. } = &*self.inner;
        pulse.check()?;
        let pool = pool.get_or_init(|| self.make_pool());
        if pool.state().connections == 0
            && let Some(cause) = trouble.recent()
        {
            return Err(DbError::Unavailable(cause));
        }
        let _waiting = pulse.wait();
        let lending = async {
            let turn = turns.clone().acquire_owned().await.ok()?;
            Some(Lent { conn: pool.get_owned().await.ok()?, _turn: turn })
        };
        let lent = tokio::select! {
            lent = tokio::time::timeout(settings.wait, lending) => lent.ok().flatten(),
            () = pulse.hangs() => return Err(hung()),
        };
        let waited = || format!("no free connection within {:?}", settings.wait);
        let failed = || DbError::Unavailable(trouble.recent().unwrap_or_else(waited));
        lent.map(|lent| Pooled(Some(lent))).ok_or_else(failed)
    }

    /// How many connections are in use, and how many are idle.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        let Some(pool) = self.inner.pool.get() else { return (0, 0) };
        let state = pool.state();
        (state.connections.saturating_sub(state.idle_connections), state.idle_connections)
    }

    /// Opens a transaction on behalf of `origin`, or goes on with the one whose commit its unit of
    /// work has put off. What isn't committed is rolled back.
    ///
    /// # Errors
    /// As [`Db::conn`].
    pub async fn begin(&self, origin: &Origin) -> Result<Tx, DbError> {
        if let Some(tx) = origin.unit.resume(origin) {
            return Ok(tx);
        }
        Tx::begin(self.conn().await?, self.inner.clock.now(), origin.clone()).await
    }

    /// Asks the database for nothing, to see whether it answers: on a connection of its own, for
    /// a busy pool says nothing about the database.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub async fn ping(&self) -> Result<(), DbError> {
        let pulse = &self.inner.pulse;
        pulse.check()?;
        let _waiting = pulse.wait();
        pulse.ping().await
    }

    fn make_pool(&self) -> Pool<Manager> {
        let Inner { url, settings, trouble, pulse, .. } = &*self.inner;
        let manager = Manager {
            url: url.clone(),
            statement_timeout: settings.statement_timeout,
            sql_log: settings.sql_log,
            pulse: pulse.clone(),
            trouble: Arc::downgrade(trouble),
        };
        Pool::builder()
            .max_size(settings.max_size)
            .min_idle(Some(settings.min_idle))
            .max_lifetime(Some(settings.max_lifetime))
            .connection_timeout(settings.wait)
            .build_unchecked(manager)
    }
}

/// How long a connection may take to come to the end of what nobody waits for any more.
const END_LIMIT: Duration = Duration::from_secs(2);

/// A connection from the pool; goes back when dropped, once a statement that nobody waits for any
/// more has come to its end.
pub struct Pooled(
    /// Taken out at the end only.
    Option<Lent>,
);

/// The connection goes back before the turn does.
struct Lent {
    conn: PooledConnection<'static, Manager>,
    _turn: OwnedSemaphorePermit,
}

impl Pooled {
    /// Gives the connection back without what its transaction has done.
    pub(super) fn roll_back(mut self) {
        if let Some(lent) = self.0.take() {
            give_back(lent, true);
        }
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(mut lent) = self.0.take()
            && lent.conn.is_working()
            && !lent.conn.is_broken()
        {
            give_back(lent, false);
        }
    }
}

/// Lets a connection come to its end, in the background; one that doesn't is closed.
fn give_back(mut lent: Lent, in_transaction: bool) {
    type Transactions = <Conn as AsyncConnection>::TransactionManager;
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let given_back = async move {
        let end = async {
            if in_transaction {
                Transactions::rollback_transaction(&mut **lent.conn).await
            } else {
                // Statements are worked on one after the other.
                lent.conn.batch_execute("SELECT 'after a statement that was given up'").await
            }
        };
        if !matches!(tokio::time::timeout(END_LIMIT, end).await, Ok(Ok(()))) {
            tracing::debug!("a statement or rollback did not end; the connection is closed");
        }
    };
    runtime.spawn(given_back.in_current_span());
}

#[expect(clippy::expect_used, reason = "only `roll_back` and `drop`, which end the value, take it")]
impl Deref for Pooled {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0.as_ref().expect("it was not given back").conn
    }
}

#[expect(clippy::expect_used, reason = "only `roll_back` and `drop`, which end the value, take it")]
impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0.as_mut().expect("it was not given back").conn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_opened_before_the_first_use() {
        let db = Db::new(
            "host=127.0.0.1 port=1 user=nobody".into(),
            PoolSettings {
                max_size: 2,
                min_idle: 1,
                max_lifetime: Duration::from_mins(1),
                wait: Duration::from_millis(300),
                statement_timeout: None,
                sql_log: SqlLog { logged: crate::db::Logged::None, slow: Duration::ZERO },
            },
            Clock::default(),
        );
        assert!(db.inner.pool.get().is_none());
        let error = db.conn().await.err().expect("nobody listens there").to_string();
        assert!(error.contains("refused"), "the real cause is told: {error}");
        assert!(db.inner.pool.get().is_some());
    }
}
