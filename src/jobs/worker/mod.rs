//! Takes jobs and has them done, so many at a time.
//!
//! Whatever happens to the database, a worker goes on: what it has done it notes when the database is back,
//! unless another one has its jobs by then.

mod ends;
mod execute;
mod running;
mod upkeep;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{Registry, scheduler};
use crate::{
    db::{
        Db,
        jobs::work::{self, Taken},
    },
    services::{Core, Result},
    telemetry::Chain,
};
use ends::End;
pub use running::Entry;
use running::Running;

/// How often it is looked for jobs when nobody says that there are any.
const POLL: Duration = Duration::from_secs(1);
/// How many jobs are taken at a time.
const BATCH: usize = 500;
/// How long it is waited for others to end before a suspect is left for later.
const SUSPECT_WAIT: Duration = Duration::from_secs(30);

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many jobs at a time.
    pub slots: usize,
    /// How often it says that it is alive.
    pub heartbeat: Duration,
    /// How long jobs may take to end when the worker is to stop; then they are given back.
    pub grace: Duration,
}

impl Options {
    /// After how long a worker that says nothing is taken for dead.
    fn silence(self) -> Duration {
        self.heartbeat * 3
    }
}

/// A worker.
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    id: Uuid,
    core: Arc<Core>,
    registry: Arc<Registry>,
    options: Options,
    queues: Vec<String>,
    /// Connections that jobs can't take away: of it hangs whether we are taken for dead.
    upkeep: Db,
    running: Running,
    /// A job has ended.
    ended: Notify,
}

impl Worker {
    /// Its jobs work with the connections of `core`; `upkeep` needs one of its own.
    #[must_use]
    pub fn new(core: Arc<Core>, upkeep: Db, registry: Arc<Registry>, options: Options) -> Self {
        let id = core.random.id(core.clock.now());
        let queues = core.jobs.queues.clone();
        let (running, ended) = (Running::default(), Notify::new());
        let shared = Shared { id, core, registry, options, queues, upkeep, running, ended };
        Self { shared: Arc::new(shared) }
    }

    /// Works until `stop` turns true, then lets jobs end for [`Options::grace`] and gives the others back.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let shared = self.shared;
        let (ends, ended) = mpsc::channel(BATCH);
        let (stop_upkeep, upkeep_stopped) = watch::channel(false);
        let noting = tokio::spawn(ends::note(shared.clone(), ended));
        let scheduling = tokio::spawn(scheduler::run(shared.core.clone(), stop.clone()));
        shared.register(&stop).await;
        let upkeep = tokio::spawn(upkeep::run(shared.clone(), upkeep_stopped));

        let mut jobs = JoinSet::new();
        shared.take(&mut jobs, &ends, stop).await;

        let all = async { while jobs.join_next().await.is_some() {} };
        if timeout(shared.options.grace, all).await.is_err() {
            shared.running.lose_all();
            while jobs.join_next().await.is_some() {}
        }
        drop(ends);
        let _ = timeout(shared.options.grace.max(POLL), noting).await;
        let _ = scheduling.await;
        let _ = stop_upkeep.send(true);
        let _ = upkeep.await;
        if let Err(error) = shared.sign_off().await {
            tracing::warn!("others have to find out that this worker has ended: {}", Chain(&error));
        }
    }
}

/// What a worker takes next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    /// Whatever is due.
    Any,
    /// Nothing, since then: there is a suspect, a job that ran when a worker died.
    Drain(Instant),
    /// Nothing until the suspect has ended: of another death it is known then whose fault it is.
    Alone,
}

/// Lets jobs end for as long as they do so at once: few large batches cost less than many small ones.
async fn let_end(jobs: &mut JoinSet<()>) {
    let mut left = usize::MAX;
    while jobs.len() < left {
        left = jobs.len();
        tokio::task::yield_now().await;
        while jobs.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn take(
        self: &Arc<Self>,
        jobs: &mut JoinSet<()>,
        ends: &mpsc::Sender<End>,
        mut stop: watch::Receiver<bool>,
    ) {
        let (mut mode, mut looked) = (Mode::Any, None::<Instant>);
        while !*stop.borrow() {
            while jobs.try_join_next().is_some() {}
            let started = Instant::now();
            if mode == Mode::Alone && jobs.is_empty() {
                mode = Mode::Any;
            }
            let look = looked.is_none_or(|at| at.elapsed() >= POLL) || mode != Mode::Any;
            if look {
                looked = Some(started);
            }
            let free = self.options.slots.saturating_sub(jobs.len()).min(BATCH);
            let taken = match self.next(free, jobs.is_empty(), look, &mut mode).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!("no jobs can be taken: {}", Chain(&error));
                    Vec::new()
                }
            };
            self.core.health.jobs_are_alive(started.elapsed());
            let is_more_likely = mode == Mode::Any && free > 0 && taken.len() == free;
            for one in taken {
                jobs.spawn(self.clone().execute(one, ends.clone()));
            }
            if is_more_likely {
                let_end(jobs).await;
            } else {
                let is_full = jobs.len() >= self.options.slots;
                tokio::select! {
                    () = self.core.jobs.waker.woken(), if !is_full && mode != Mode::Alone => {}
                    () = self.ended.notified(), if is_full || mode != Mode::Any => {}
                    () = sleep(POLL) => {}
                    _ = stop.changed() => {}
                }
            }
        }
    }

    /// Takes what may run now.
    async fn next(
        &self,
        free: usize,
        is_idle: bool,
        look: bool,
        mode: &mut Mode,
    ) -> Result<Vec<Taken>> {
        if free == 0 || *mode == Mode::Alone {
            return Ok(Vec::new());
        }
        let now = self.core.clock.now();
        let mut conn = self.core.db.conn().await?;
        if look {
            let has_suspect = work::has_suspect(&mut conn, &self.queues, now).await?;
            *mode = match *mode {
                _ if !has_suspect => Mode::Any,
                Mode::Any => Mode::Drain(Instant::now()),
                mode => mode,
            };
        }
        if let Mode::Drain(since) = *mode {
            if is_idle {
                let suspect = work::claim_suspect(&mut conn, self.id, &self.queues, now).await?;
                *mode = if suspect.is_some() { Mode::Alone } else { Mode::Any };
                return Ok(suspect.into_iter().collect());
            }
            if since.elapsed() < SUSPECT_WAIT {
                return Ok(Vec::new());
            }
        }
        Ok(work::claim(&mut conn, self.id, &self.queues, free, now).await?)
    }
}
