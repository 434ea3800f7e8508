//! Says that the worker is alive, passes progress on, hears what is to end, and gives back what the dead
//! have left.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::sleep};

use super::Shared;
use crate::{
    db::{
        DbError,
        jobs::{
            JobState, work,
            workers::{self, Sign},
        },
    },
    telemetry::Chain,
};

/// How soon progress is seen, and a cancellation heard.
const LOOK: Duration = Duration::from_secs(1);
/// After how many deaths of its worker a job is given up.
const MAX_CRASHES: i32 = 3;

/// Goes on until `stop` turns true.
pub(super) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let look = LOOK.min(shared.options.heartbeat);
    let mut signs = Signs::begin();
    while !*stop.borrow() {
        if let Err(error) = shared.look(&mut signs).await {
            signs = Signs::begin();
            tracing::warn!("the worker can't say that it is alive: {}", Chain(&error));
        }
        tokio::select! {
            () = sleep(look) => {}
            _ = stop.changed() => {}
        }
    }
}

/// What we have said of ourselves without a gap.
struct Signs {
    first: Instant,
    last: Instant,
}

impl Signs {
    fn begin() -> Self {
        let now = Instant::now();
        Self { first: now, last: now }
    }
}

impl Shared {
    /// Makes the worker known, before it takes anything.
    pub(super) async fn register(&self, stop: &watch::Receiver<bool>) {
        while let Err(error) = self.sign().await {
            tracing::warn!("the worker can't begin yet: {}", Chain(&error));
            if *stop.borrow() {
                return;
            }
            sleep(LOOK).await;
        }
    }

    async fn sign(&self) -> Result<(), DbError> {
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let sign = Sign {
            id: self.id,
            host: &host,
            pid: count(std::process::id() as usize),
            slots: count(self.options.slots),
            busy: count(self.running.len()),
        };
        let mut conn = self.upkeep.conn().await?;
        Ok(workers::heartbeat(&mut conn, &sign, self.core.clock.now()).await?)
    }

    async fn look(&self, signs: &mut Signs) -> Result<(), DbError> {
        if signs.last.elapsed() >= self.options.heartbeat {
            self.sign().await?;
            signs.last = Instant::now();
            // While the database was away nobody could say anything: that is no sign of death.
            if signs.first.elapsed() >= self.options.silence() {
                self.rescue().await?;
            }
        }
        let now = self.core.clock.now();
        let mut conn = self.upkeep.conn().await?;
        let news = self.running.news();
        if !news.is_empty() {
            work::report(&mut conn, self.id, &news, now).await?;
        }
        let asked = Instant::now();
        let held = work::held(&mut conn, self.id).await?;
        let unknown = self.running.reconcile(&held, asked);
        if !unknown.is_empty() {
            let count = work::give_back(&mut conn, self.id, &unknown, now).await?;
            tracing::warn!(count, "jobs are given back: the answer that gave them to us was lost");
        }
        Ok(())
    }

    /// Gives back the jobs of workers that have died.
    async fn rescue(&self) -> Result<(), DbError> {
        let (silence, now) = (self.options.silence(), self.core.clock.now());
        let mut conn = self.upkeep.conn().await?;
        for job in workers::rescue(&mut conn, silence, MAX_CRASHES, now).await? {
            let (job_id, kind) = (job.id, &job.kind);
            if job.state == JobState::Failed {
                tracing::error!(%job_id, kind, "a job is given up: it has killed its worker each time");
            } else {
                tracing::warn!(%job_id, kind, "a job is given back: its worker has died");
            }
        }
        Ok(())
    }

    /// Gives back what was not finished, and says that this worker has ended.
    pub(super) async fn sign_off(&self) -> Result<(), DbError> {
        let mut conn = self.upkeep.conn().await?;
        let released = work::release(&mut conn, self.id, self.core.clock.now()).await?;
        if released > 0 {
            tracing::info!(released, "jobs were given back: they took too long to end");
            self.core.jobs.waker.wake();
        }
        Ok(workers::remove(&mut conn, self.id).await?)
    }
}
