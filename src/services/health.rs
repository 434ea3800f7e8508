//! Whether the product works, from a probe that all callers share.

use std::{
    fmt::Display,
    future::Future,
    sync::{
        Mutex as StdMutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::Core;

/// However many ask, each of database, storage and Redis is probed once in this time.
const FRESH: Duration = Duration::from_secs(1);
/// A probe that takes longer counts as failed, so that health answers within a second.
const PROBE_LIMIT: Duration = Duration::from_millis(800);
/// The mail sender reports after each mail, and each second when there is none; one mail may
/// take a server that doesn't answer several times its limit of 10 s.
const JOBS_LIMIT: Duration = Duration::from_mins(1);

/// The state of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Up,
    Down,
    Degraded,
    /// Up, as the stand-in that the product brings along.
    Embedded,
}

/// One part of the service.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub state: State,
    pub latency_ms: u64,
}

/// All parts of the service.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    pub api: Part,
    pub database: Part,
    /// `None` where none is configured.
    pub storage: Option<Part>,
    /// `None` where none is configured.
    pub redis: Option<Part>,
    pub mail: Part,
    pub jobs: Part,
}

impl Report {
    /// Down when the database is, degraded when anything else is.
    #[must_use]
    pub fn overall(&self) -> State {
        if self.database.state == State::Down {
            return State::Down;
        }
        let some = self.storage.iter().chain(&self.redis);
        let mut rest = some.chain([&self.mail, &self.jobs]);
        let fine = rest.all(|part| matches!(part.state, State::Up | State::Embedded));
        if fine { State::Up } else { State::Degraded }
    }
}

/// What the process knows of its own health.
pub struct Health {
    shutting_down: AtomicBool,
    database: Probe,
    storage: Probe,
    redis: Probe,
    /// When the background work last looked, and how long that took.
    jobs_seen: StdMutex<Option<(Instant, Duration)>>,
}

impl Health {
    /// Of database and storage: is it the one that the product brings along?
    #[must_use]
    pub fn new(database_is_embedded: bool, storage_is_embedded: bool) -> Self {
        Self {
            shutting_down: AtomicBool::new(false),
            database: Probe::new("database", database_is_embedded),
            storage: Probe::new("storage", storage_is_embedded),
            redis: Probe::new("Redis", false),
            jobs_seen: StdMutex::new(None),
        }
    }

    /// From now on the process takes no new traffic.
    pub fn shut_down(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    /// The background work is alive, and its last look took this long.
    pub fn jobs_are_alive(&self, took: Duration) {
        let seen = Some((Instant::now(), took));
        *self.jobs_seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Whether the process can take traffic.
    pub async fn is_ready(&self, core: &Core) -> bool {
        !self.shutting_down.load(Ordering::Relaxed)
            && self.database(core).await.state != State::Down
    }

    /// Whether the storage was there a moment ago; not where none is configured.
    pub async fn has_storage(&self, core: &Core) -> bool {
        self.storage(core).await.is_some_and(|storage| storage.state != State::Down)
    }

    /// The state of every part.
    pub async fn report(&self, core: &Core) -> Report {
        // How long a task of this process waits for its turn.
        let started = Instant::now();
        tokio::task::yield_now().await;
        let turn = millis(started.elapsed());
        let (database, storage, redis) =
            tokio::join!(self.database(core), self.storage(core), self.redis(core));
        let mail = match (core.mails.is_failing(), core.mails.mailer.outbox_folder()) {
            (true, _) => State::Degraded,
            (false, Some(_)) => State::Embedded,
            (false, None) => State::Up,
        };
        let seen = *self.jobs_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = seen.is_some_and(|(at, _)| at.elapsed() < JOBS_LIMIT);
        let jobs = if alive { State::Up } else { State::Down };
        let last_look = seen.map_or(0, |(_, took)| millis(took));
        Report {
            api: Part { state: State::Up, latency_ms: turn },
            database,
            storage,
            redis,
            mail: Part { state: mail, latency_ms: core.mails.last_handover_ms() },
            jobs: Part { state: jobs, latency_ms: last_look },
        }
    }

    async fn database(&self, core: &Core) -> Part {
        self.database.part(core.db.ping()).await
    }

    async fn storage(&self, core: &Core) -> Option<Part> {
        match &core.storage {
            Some(storage) => Some(self.storage.part(storage.ping()).await),
            None => None,
        }
    }

    async fn redis(&self, core: &Core) -> Option<Part> {
        match &core.redis {
            Some(redis) => Some(self.redis.part(redis.server().ping()).await),
            None => None,
        }
    }
}

/// What all who ask are told about one part behind us.
struct Probe {
    name: &'static str,
    is_embedded: bool,
    last: Mutex<Option<(Instant, Part)>>,
}

impl Probe {
    fn new(name: &'static str, is_embedded: bool) -> Self {
        Self { name, is_embedded, last: Mutex::new(None) }
    }

    async fn part<E: Display>(&self, ping: impl Future<Output = Result<(), E>>) -> Part {
        let mut last = self.last.lock().await;
        if let Some((at, part)) = *last
            && at.elapsed() < FRESH
        {
            return part;
        }
        let started = Instant::now();
        let failure = match tokio::time::timeout(PROBE_LIMIT, ping).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {PROBE_LIMIT:?}")),
        };
        let state = match (&failure, self.is_embedded) {
            (Some(_), _) => State::Down,
            (None, true) => State::Embedded,
            (None, false) => State::Up,
        };
        if let Some(cause) = failure
            && last.is_none_or(|(_, part)| part.state != State::Down)
        {
            tracing::warn!("the {} is down: {cause}", self.name);
        }
        let part = Part { state, latency_ms: millis(started.elapsed()) };
        *last = Some((Instant::now(), part));
        part
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
