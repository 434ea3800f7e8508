//! Redis, by fred: connections that are given up when anything fails on them.
//!
//! fred can reconnect by itself and send again what may have arrived. Here it does neither: who
//! uses it knows what becomes of what was under way, and makes another connection when it's time.
//! Short commands share one that is kept ([`Kept`]).

mod kept;

use std::{fmt, future::Future, ops::Deref, time::Duration};

use fred::{
    clients::Client,
    interfaces::ClientLike,
    types::{Builder, ConnectHandle, config::Config},
};

pub use kept::{Kept, Script};

/// How long Redis may take to let us in, and to answer. One that is stopped never does.
const LIMIT: Duration = Duration::from_secs(2);

/// Why Redis is of no use now.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    #[error("Redis failed: {0}")]
    Failed(#[from] fred::error::Error),
    #[error("Redis did not answer within {0:?}")]
    TooSlow(Duration),
    #[error("there is no connection to Redis")]
    Away,
}

/// Whether a text is the address of a Redis server: `redis://` or, with TLS, `rediss://`.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let is_ours = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "redis" | "rediss"));
    is_ours && Config::from_url_centralized(text).is_ok()
}

/// Where Redis is, and how our keys begin. Connects to nothing.
#[derive(Clone)]
pub struct Redis {
    config: Config,
    key_prefix: String,
}

impl Redis {
    /// A server by its address, and what stands in front of the name of every key.
    ///
    /// # Errors
    /// When it is no such address, or the certificates of this machine can't be read.
    pub fn new(url: &str, key_prefix: &str) -> Result<Self, RedisError> {
        let config = Config::from_url_centralized(url)?;
        Ok(Self { config, key_prefix: key_prefix.to_owned() })
    }

    /// The key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.key_prefix)
    }

    /// Connects and signs in.
    ///
    /// # Errors
    /// When that fails, or takes too long.
    pub async fn connect(&self) -> Result<Connection, RedisError> {
        let client = self.client()?;
        let task = client.connect();
        let connection = Connection { client, task };
        within(Duration::ZERO, connection.wait_for_connect()).await?;
        Ok(connection)
    }

    fn client(&self) -> Result<Client, RedisError> {
        let mut builder = Builder::from_config(self.config.clone());
        builder.with_connection_config(|connection| {
            connection.connection_timeout = LIMIT;
            connection.internal_command_timeout = LIMIT;
            connection.max_command_attempts = 1;
            connection.tcp.nodelay = Some(true);
        });
        Ok(builder.build()?)
    }

    /// Asks for nothing, on a connection of its own.
    ///
    /// # Errors
    /// When Redis doesn't answer as it should.
    pub async fn ping(&self) -> Result<(), RedisError> {
        let connection = self.connect().await?;
        within(Duration::ZERO, connection.ping(None)).await
    }
}

/// Without the password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("key_prefix", &self.key_prefix).finish_non_exhaustive()
    }
}

/// A connection, closed when it is dropped. Wrap each call in [`within`], and use it no more once
/// one has failed.
pub struct Connection {
    client: Client,
    /// Owns the socket.
    task: ConnectHandle,
}

impl Connection {
    /// Resolves when the connection has ended.
    async fn lost(&mut self) -> RedisError {
        match (&mut self.task).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) | Err(_) => RedisError::Away,
        }
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for the answer to a call: as long as Redis was asked to wait itself, and a moment more.
///
/// # Errors
/// When the call fails, or there is no answer in time.
pub fn within<T>(
    asked: Duration,
    call: impl Future<Output = Result<T, fred::error::Error>>,
) -> impl Future<Output = Result<T, RedisError>> {
    let limit = asked + LIMIT;
    // fred's futures are large.
    let call = tokio::time::timeout(limit, Box::pin(call));
    async move { Ok(call.await.map_err(|_| RedisError::TooSlow(limit))??) }
}
