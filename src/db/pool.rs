//! The connection pool: made on first use, waits briefly, and says why it can't connect.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, SimpleAsyncConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, PoolError, PoolableConnection,
        RecyclingMethod, bb8::Pool,
    },
};
use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::{Host, SslMode};

use super::{Origin, SqlLog, Tx};
use crate::{adapters::clock::Clock, telemetry::Chain};

type Manager = AsyncDieselConnectionManager<AsyncPgConnection>;

/// A connection from the pool; goes back when dropped.
pub type Pooled = bb8::PooledConnection<'static, Manager>;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// After a failure, requests fail at once for this long instead of each waiting for the pool.
const BREAKER: Duration = Duration::from_secs(1);

/// The database did what it should not, or nothing.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection to be had, or it was lost: worth trying again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The statement failed.
    #[error("a statement failed")]
    Query(#[source] diesel::result::Error),
}

impl From<diesel::result::Error> for DbError {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        /// What PostgreSQL says when it goes down or gives a statement up. diesel hides the
        /// SQLSTATE (57014, 57P01 to 57P03), so the English text has to do: with another
        /// `lc_messages` these rare answers are 500 instead of 503.
        const GIVES_UP: [&str; 7] = [
            "terminating connection",
            "canceling statement due to",
            "the database system is",
            "deadlock detected",
            // PgBouncer's.
            "server login has been failing",
            "query_wait_timeout",
            "server conn crashed",
        ];
        /// Stands at the end, after the name of a file.
        const FULL_DISK: &str = "No space left on device";
        let lost = match &error {
            Error::DatabaseError(
                Kind::UnableToSendCommand
                | Kind::ClosedConnection
                | Kind::SerializationFailure
                // A standby, after a failover.
                | Kind::ReadOnlyTransaction,
                _,
            )
            | Error::BrokenTransactionManager => true,
            Error::DatabaseError(Kind::Unknown, info) => {
                let message = info.message();
                message.contains(FULL_DISK) || GIVES_UP.iter().any(|text| message.starts_with(text))
            }
            _ => false,
        };
        if lost { Self::Unavailable(error.to_string()) } else { Self::Query(error) }
    }
}

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
    pool: OnceLock<Pool<AsyncPgConnection>>,
    trouble: Arc<Trouble>,
    probe: tokio::sync::Mutex<Option<AsyncPgConnection>>,
}

/// The last failure to connect, kept for the log and for failing fast.
#[derive(Debug, Default)]
struct Trouble(Mutex<Option<(Instant, String)>>);

impl Trouble {
    /// The cause, if it is fresh.
    fn recent(&self) -> Option<String> {
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

/// Hears of every failure inside the pool, which bb8 otherwise swallows.
#[derive(Debug, Clone)]
struct Sink(Weak<Trouble>);

impl bb8::ErrorSink<PoolError> for Sink {
    fn sink(&self, error: PoolError) {
        // Connections that are found broken say nothing about the database now, nor does the end
        // of those that a pool leaves behind.
        if let PoolError::ConnectionError(error) = error
            && let Some(trouble) = self.0.upgrade()
        {
            trouble.record(Chain(&error).to_string());
        }
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<PoolError>> {
        Box::new(self.clone())
    }
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
        let inner = Inner {
            url,
            settings,
            clock,
            pool: OnceLock::new(),
            trouble: Arc::default(),
            probe: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A connection for reads and single statements.
    ///
    /// Take one at a time: a second while holding one starves the pool.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when there is none within the configured wait, or at once
    /// right after such a failure.
    pub async fn conn(&self) -> Result<Pooled, DbError> {
        let pool = self.inner.pool.get_or_init(|| self.make_pool());
        if pool.state().connections == 0
            && let Some(cause) = self.inner.trouble.recent()
        {
            return Err(DbError::Unavailable(cause));
        }
        pool.get_owned().await.map_err(|error| {
            let waited = || format!("no free connection within {:?}", self.inner.settings.wait);
            DbError::Unavailable(match error {
                bb8::RunError::TimedOut => self.inner.trouble.recent().unwrap_or_else(waited),
                bb8::RunError::User(error) => Chain(&error).to_string(),
            })
        })
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
        let mut probe = self.inner.probe.lock().await;
        // Taken out, so that a probe that is given up half-way takes its connection along.
        let mut conn = match probe.take() {
            Some(conn) => conn,
            None => connect(self.inner.url.expose_secret(), None)
                .await
                .map_err(|error| DbError::Unavailable(Chain(&error).to_string()))?,
        };
        conn.batch_execute("SELECT 1").await?;
        *probe = Some(conn);
        Ok(())
    }

    fn make_pool(&self) -> Pool<AsyncPgConnection> {
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        let (statement_timeout, log) =
            (self.inner.settings.statement_timeout, self.inner.settings.sql_log);
        config.custom_setup = Box::new(move |url| {
            connect(url, statement_timeout)
                .map_ok(move |mut conn| {
                    conn.set_instrumentation(log.watch());
                    conn
                })
                .boxed()
        });
        // A `SELECT 1` at each checkout costs a quarter of the peak; asking the connection is free.
        config.recycling_method = RecyclingMethod::CustomFunction(Box::new(|conn| {
            let broken = conn.is_broken();
            async move {
                if broken { Err(diesel::result::Error::BrokenTransactionManager) } else { Ok(()) }
            }
            .boxed()
        }));
        let settings = &self.inner.settings;
        Pool::builder()
            .max_size(settings.max_size)
            .min_idle(Some(settings.min_idle))
            .max_lifetime(Some(settings.max_lifetime))
            .connection_timeout(settings.wait)
            .error_sink(Box::new(Sink(Arc::downgrade(&self.inner.trouble))))
            .build_unchecked(Manager::new_with_config(self.inner.url.expose_secret(), config))
    }
}

/// Opens one connection: as the URL's `sslmode` says, `prefer` by default; without TLS to this machine.
pub(super) fn connect(
    url: &str,
    statement_timeout: Option<Duration>,
) -> BoxFuture<'_, ConnectionResult<AsyncPgConnection>> {
    async move {
        let bad = |cause: &tokio_postgres::Error| {
            ConnectionError::BadConnection(Chain(cause).to_string())
        };
        let mut config = parse_url(url).map_err(|e| bad(&e))?;
        config
            .connect_timeout(CONNECT_LIMIT)
            .tcp_user_timeout(Duration::from_secs(10))
            .keepalives_idle(Duration::from_secs(15))
            .application_name("twofold");
        if let Some(limit) = statement_timeout {
            let (statement, idle) = (limit.as_millis(), limit.as_millis() * 2);
            let own = config.get_options().unwrap_or_default().to_owned();
            config.options(format!(
                "{own} -c statement_timeout={statement} -c idle_in_transaction_session_timeout={idle}"
            ));
        }
        let connecting = async {
            if config.get_ssl_mode() == SslMode::Disable {
                let made = config.connect(tokio_postgres::NoTls).await;
                let (client, connection) = made.map_err(|e| bad(&e))?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            } else {
                let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls_config());
                let (client, connection) = config.connect(tls).await.map_err(|e| bad(&e))?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        };
        tokio::time::timeout(CONNECT_LIMIT, connecting).await.unwrap_or_else(|_| {
            Err(ConnectionError::BadConnection(format!("no answer within {CONNECT_LIMIT:?}")))
        })
    }
    .boxed()
}

/// Whether a text is the address of a database: `postgresql://…`, or libpq's `host=…` form.
#[must_use]
pub fn is_url(text: &str) -> bool {
    parse_url(text).is_ok_and(|config| !config.get_hosts().is_empty())
}

/// tokio-postgres knows no `verify-full`; rustls verifies fully in any case.
fn parse_url(url: &str) -> Result<tokio_postgres::Config, tokio_postgres::Error> {
    let url = url
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    let mut config: tokio_postgres::Config = url.parse()?;
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    // Packages bring servers with self-made certificates, which rustls would refuse.
    if config.get_ssl_mode() == SslMode::Prefer && config.get_hosts().iter().all(is_local) {
        config.ssl_mode(SslMode::Disable);
    }
    Ok(config)
}

fn tls_config() -> rustls::ClientConfig {
    static CONFIG: OnceLock<rustls::ClientConfig> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            // The only provider that is compiled in; a second call changes nothing.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssl_modes_follow_the_url_and_the_host() {
        let mode = |url| parse_url(url).expect("valid").get_ssl_mode();
        assert_eq!(mode("postgresql://u@localhost/d"), SslMode::Disable);
        assert_eq!(mode("postgresql://u@127.0.0.1/d?sslmode=require"), SslMode::Require);
        assert_eq!(mode("host='/run/with space' user=u dbname=d"), SslMode::Disable);
        assert_eq!(mode("postgresql://u@db.example.com/d"), SslMode::Prefer);
        assert_eq!(mode("postgresql://u@db.example.com/d?sslmode=verify-full"), SslMode::Require);
    }

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        use diesel::result::{DatabaseErrorKind, Error};
        let is_unavailable = |message: &str| {
            let error =
                Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
            matches!(DbError::from(error), DbError::Unavailable(_))
        };
        let full = "could not extend file \"base/5/16403\": No space left on device";
        assert!(is_unavailable(full));
        assert!(is_unavailable("canceling statement due to statement timeout"));
        assert!(!is_unavailable("relation \"x\" does not exist"));
    }

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
