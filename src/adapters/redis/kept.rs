//! One connection that all short commands share: made in the background, looked at each second, and
//! made anew once it is of no use.
//!
//! Nobody who has a command waits for a connection, and for an answer nobody waits longer than
//! [`LIMIT`]. After the first command that fails no other is sent until Redis has answered a PING: so
//! a Redis that hangs costs those their time who were under way when it began to.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fred::{
    clients::Client,
    interfaces::{ClientLike, LuaInterface},
    types::{FromValue, Value},
};
use ring::digest;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{Connection, Redis, RedisError};
use crate::adapters::random::hex;

/// How long the answer to a command is waited for.
const LIMIT: Duration = Duration::from_millis(100);
/// How long a connection in doubt has to show that it is of use: a busy machine is no dead Redis.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a connection that nobody uses is looked at.
const CHECK: Duration = Duration::from_secs(1);
/// How long it is waited before the next try to connect: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Of commands that fail on a connection that is of use, one is told in this time.
const TELL: Duration = Duration::from_mins(1);

/// The kept connection. Clones share it.
#[derive(Clone)]
pub struct Kept(Arc<Inner>);

struct Inner {
    redis: Redis,
    /// `None` while there is no connection, or one in doubt.
    client: watch::Sender<Option<Client>>,
    /// A command has failed.
    doubt: Notify,
    failures: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Kept {
    /// Connects to nothing before [`Kept::keep`] does.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self(Arc::new(Inner {
            redis,
            client: watch::Sender::new(None),
            doubt: Notify::new(),
            failures: AtomicU64::new(0),
            told: Mutex::default(),
        }))
    }

    /// The server that it leads to.
    #[must_use]
    pub fn server(&self) -> &Redis {
        &self.0.redis
    }

    /// Whether commands are sent now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.client.borrow().is_some()
    }

    /// How many commands have failed, those aside that were not sent.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Sends a command. One that has failed may be done all the same, even later.
    ///
    /// # Errors
    /// [`RedisError::Away`] at once when there is no connection of use, [`RedisError::TooSlow`], or
    /// what Redis says.
    pub async fn call<T, F>(&self, command: impl FnOnce(Client) -> F) -> Result<T, RedisError>
    where
        F: Future<Output = Result<T, fred::error::Error>>,
    {
        let client = self.0.client.borrow().clone().ok_or(RedisError::Away)?;
        // fred's futures are large.
        let outcome = match timeout(LIMIT, Box::pin(command(client))).await {
            Ok(outcome) => outcome.map_err(RedisError::from),
            Err(_) => Err(RedisError::TooSlow(LIMIT)),
        };
        outcome.inspect_err(|error| self.failed(error))
    }

    /// Runs a script, whose keys and arguments are these; sends its text only where Redis doesn't know it.
    ///
    /// # Errors
    /// As [`Kept::call`].
    pub async fn run<T: FromValue>(
        &self,
        script: &Script,
        keys: Vec<String>,
        arguments: Vec<Value>,
    ) -> Result<T, RedisError> {
        let run = async |client: Client| {
            let known: Result<Value, _> =
                client.evalsha(script.hash.as_str(), keys.clone(), arguments.clone()).await;
            let answer = match known {
                Err(error) if error.details().starts_with("NOSCRIPT") => {
                    client.eval(script.text, keys, arguments).await?
                }
                answer => answer?,
            };
            answer.convert()
        };
        self.call(run).await
    }

    /// Keeps the connection, until it is dropped.
    pub async fn keep(self) {
        let (mut pause, mut is_away) = (PAUSES.0, false);
        loop {
            let cause = match self.0.redis.connect().await {
                Ok(mut connection) => {
                    let mut works = || {
                        pause = PAUSES.0;
                        if std::mem::take(&mut is_away) {
                            tracing::info!("Redis can be used again");
                        }
                    };
                    self.use_up(&mut connection, &mut works).await
                }
                Err(error) => error,
            };
            self.0.client.send_replace(None);
            if !std::mem::replace(&mut is_away, true) {
                tracing::warn!("Redis can't be used, the product goes on without: {cause}");
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Lets commands use a connection as long as it is of use; returns why it isn't. `works` is called
    /// whenever it has shown that it is.
    async fn use_up(&self, connection: &mut Connection, works: &mut impl FnMut()) -> RedisError {
        loop {
            match timeout(PATIENCE, Box::pin(connection.ping::<()>(None))).await {
                Ok(Ok(())) => works(),
                Ok(Err(error)) => return error.into(),
                Err(_) => return RedisError::TooSlow(PATIENCE),
            }
            self.0.client.send_replace(Some(connection.client.clone()));
            tokio::select! {
                () = self.0.doubt.notified() => {}
                error = connection.lost() => return error,
                () = sleep(CHECK) => {}
            }
        }
    }

    fn failed(&self, error: &RedisError) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        // Whoever keeps it opens the way again.
        self.0.client.send_replace(None);
        self.0.doubt.notify_one();
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL) {
            *told = Some(Instant::now());
            tracing::warn!("a command to Redis failed: {error}");
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("redis", &self.0.redis).finish_non_exhaustive()
    }
}

/// A Lua script, which Redis runs as one step.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    /// By which Redis knows it.
    hash: String,
}

impl Script {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Self { text, hash: hex(hash.as_ref()) }
    }
}
