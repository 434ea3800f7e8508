//! Takes lines from the queue to Redis, and to local files while Redis doesn't take them.
//!
//! It has a thread and a runtime of its own: lines are logged before there is another runtime, and
//! after it.

use std::{
    future::Future,
    io::{self, Write},
    pin::pin,
    sync::atomic::Ordering,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};

use super::{
    losses::Losses,
    sink::{Files, Line},
    stream,
};
use crate::adapters::redis::{Connection, Redis, RedisError};

/// How many lines go in one pipeline.
const BATCH: usize = 500;
/// How long Redis is left alone when it takes no lines.
const RETRY: Duration = Duration::from_secs(1);
/// How long lines still go to Redis when the process ends. The rest goes to local files.
const DRAIN: Duration = Duration::from_secs(3);

/// Why lines don't go to Redis now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("{0} lines are there that nobody has collected: does `twofold log-consumer` run?")]
    Full(u64),
    #[error("the process ends")]
    Late,
}

/// The thread. When this is dropped it delivers what is in the queue, for a bounded time.
pub(super) struct Shipper {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shipper {
    /// Starts it. Without `files` what Redis doesn't take is in files anyway.
    ///
    /// # Errors
    /// When there can't be another thread.
    pub fn start(
        redis: Redis,
        queue: mpsc::Receiver<Line>,
        files: Option<Files>,
        losses: Losses,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let key = redis.key(stream::NAME);
        let (end, outage, lags) = (None, None, false);
        let shipping = Shipping { redis, key, queue, files, losses, stopped, end, outage, lags };
        let thread = thread::Builder::new().name("log-shipper".to_owned());
        let thread = thread.spawn(move || runtime.block_on(shipping.run()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Shipping {
    redis: Redis,
    key: String,
    queue: mpsc::Receiver<Line>,
    files: Option<Files>,
    losses: Losses,
    stopped: oneshot::Receiver<()>,
    /// From when on lines don't go to Redis any more; set when the process ends.
    end: Option<Instant>,
    /// While Redis takes no lines: how many had been diverted before that.
    outage: Option<u64>,
    /// Whether it was told that nobody collects the lines.
    lags: bool,
}

impl Shipping {
    async fn run(mut self) {
        // The first lines wait for the first connection.
        let mut connection = connect(self.redis.clone(), self.key.clone(), Duration::ZERO).await;
        loop {
            let trouble = match connection {
                Ok(connection) => {
                    self.tell_end();
                    match self.ship(&connection).await {
                        Ok(()) => return,
                        Err(trouble) => trouble,
                    }
                }
                Err(trouble) => trouble,
            };
            self.tell(&trouble);
            let again = connect(self.redis.clone(), self.key.clone(), RETRY);
            match self.store_until(again).await {
                Some(outcome) => connection = outcome,
                None => return,
            }
        }
    }

    /// Until the queue has ended, or something fails. The lines that Redis hasn't got then, or of
    /// which it hasn't said so, are in files.
    async fn ship(&mut self, connection: &Connection) -> Result<(), Trouble> {
        loop {
            let lines = self.next().await;
            if lines.is_empty() {
                return Ok(());
            }
            let is_late = self.end.is_some_and(|end| Instant::now() > end);
            let added = if is_late {
                Err(Trouble::Late)
            } else {
                stream::add(connection, &self.key, &lines).await.map_err(Trouble::Redis)
            };
            match added {
                Ok(length) => self.watch(length)?,
                Err(trouble) => {
                    self.store(&lines);
                    return Err(trouble);
                }
            }
        }
    }

    /// Puts all lines into files until there is a connection; `None` when the queue has ended.
    async fn store_until<T>(&mut self, connected: impl Future<Output = T>) -> Option<T> {
        let mut connected = pin!(connected);
        loop {
            tokio::select! {
                outcome = &mut connected => return Some(outcome),
                lines = self.next() => {
                    if lines.is_empty() {
                        return None;
                    }
                    self.store(&lines);
                }
            }
        }
    }

    /// The next lines, as soon as there are any; none when the queue has ended.
    async fn next(&mut self) -> Vec<Line> {
        let mut lines = Vec::with_capacity(BATCH);
        if self.end.is_none() {
            tokio::select! {
                _ = self.queue.recv_many(&mut lines, BATCH) => return lines,
                _ = &mut self.stopped => {}
            }
            // What is logged from now on goes to files at once.
            self.queue.close();
            self.end = Some(Instant::now() + DRAIN);
        }
        self.queue.recv_many(&mut lines, BATCH).await;
        lines
    }

    fn store(&mut self, lines: &[Line]) {
        self.losses.diverted.fetch_add(lines.len() as u64, Ordering::Relaxed);
        let Some(files) = &self.files else { return };
        for line in lines {
            // It never fails.
            let _ = files.of(line.category).clone().write_all(&[&line.text[..], b"\n"].concat());
        }
    }

    /// Nobody hears of lines that pile up but by this.
    fn watch(&mut self, length: u64) -> Result<(), Trouble> {
        let lags = length >= stream::LAGGING;
        if lags && !self.lags {
            tracing::warn!(length, "log lines pile up in Redis: does `twofold log-consumer` run?");
        }
        self.lags = lags;
        if length < stream::FULL { Ok(()) } else { Err(Trouble::Full(length)) }
    }

    /// Tells why Redis takes no lines, once.
    fn tell(&mut self, trouble: &Trouble) {
        if self.outage.is_none() {
            self.outage = Some(self.losses.diverted());
            tracing::warn!("log lines go to local files instead of Redis: {trouble}");
        }
    }

    fn tell_end(&mut self) {
        if let Some(before) = self.outage.take() {
            let lines = self.losses.diverted() - before;
            tracing::info!(lines, "log lines go to Redis again; local files have these");
        }
    }
}

/// Connects after a while, if there is place for lines.
async fn connect(redis: Redis, key: String, after: Duration) -> Result<Connection, Trouble> {
    sleep(after).await;
    let connection = redis.connect().await?;
    match stream::length(&connection, &key).await? {
        length if length < stream::FULL => Ok(connection),
        length => Err(Trouble::Full(length)),
    }
}
