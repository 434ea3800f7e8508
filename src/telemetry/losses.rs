//! Lines that are not where they should be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing_appender::non_blocking::ErrorCounter;

/// How often what was dropped is told.
const PERIOD: Duration = Duration::from_secs(5);

/// Counts them, from the start of the process on.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    /// Of each writing thread: those that came faster than it could write.
    pub(super) too_fast: Vec<ErrorCounter>,
    /// Those that a file didn't take.
    pub(super) failed: Arc<AtomicU64>,
    /// Those that are in local files instead of Redis.
    pub(super) diverted: Arc<AtomicU64>,
}

impl Losses {
    /// How many lines are missing on the terminal or in the files.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let too_fast = self.too_fast.iter().map(|counter| counter.dropped_lines() as u64);
        too_fast.sum::<u64>() + self.failed.load(Ordering::Relaxed)
    }

    /// How many lines were meant for Redis and are in local files.
    #[must_use]
    pub fn diverted(&self) -> u64 {
        self.diverted.load(Ordering::Relaxed)
    }

    /// Logs what was dropped, now and then, for ever.
    pub async fn report(self) {
        let mut told = 0;
        loop {
            tokio::time::sleep(PERIOD).await;
            let dropped = self.dropped();
            if dropped > told {
                let lines = dropped - told;
                tracing::warn!(lines, "log lines were dropped: they could not be written in time");
                told = dropped;
            }
        }
    }
}
