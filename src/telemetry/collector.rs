//! Collects log lines from the Redis Stream into files, each line at least once.
//!
//! Several may do so at the same time; each line is handed to one of them. A line is confirmed when
//! it is on the disk. What somebody got and hasn't confirmed is taken over by another one.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{collected::CollectedFiles, files::Folder, group::Group};
use crate::adapters::{
    clock::Clock,
    random::Random,
    redis::{Redis, RedisError},
};

/// How long to wait when Redis or the disk is of no use.
const RETRY: Duration = Duration::from_secs(1);
/// How often to look for lines of others, and to tidy up.
const ROUND: Duration = Duration::from_secs(1);

/// Why lines can't be collected now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("the files can't be written: {0}")]
    Files(#[from] io::Error),
}

/// One of those who collect.
pub struct Collector {
    redis: Redis,
    files: CollectedFiles,
    /// Another one at each start.
    name: String,
    collected: u64,
    /// Whether it was told that there is trouble.
    is_troubled: bool,
}

impl Collector {
    /// Makes today's files in the folder, which keeps so many days. Redis need not be there.
    ///
    /// # Errors
    /// When the files can't be made or written.
    pub fn new(
        redis: Redis,
        dir: PathBuf,
        retention_days: u32,
        clock: Clock,
        random: Random,
    ) -> io::Result<Self> {
        let name = random.id(clock.now()).to_string();
        let files = CollectedFiles::open(Folder { path: dir, retention_days }, clock)?;
        Ok(Self { redis, files, name, collected: 0, is_troubled: false })
    }

    /// The folder of the files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// Collects until it is told to stop, whatever fails. Returns how many lines it has written.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) -> u64 {
        while let Err(trouble) = self.collect(&stopped).await {
            if !self.is_troubled {
                tracing::warn!("log lines can't be collected for the moment: {trouble}");
            }
            self.is_troubled = true;
            let _ = timeout(RETRY, stopped.wait_for(|is_stopped| *is_stopped)).await;
        }
        self.collected
    }

    /// Collects until it is told to stop, or something fails: then nothing is lost, because what was
    /// not confirmed is handed out again.
    async fn collect(&mut self, stopped: &watch::Receiver<bool>) -> Result<(), Trouble> {
        let is_stopped = || *stopped.borrow();
        if is_stopped() {
            return Ok(());
        }
        let group = Group::join(&self.redis, &self.name).await?;
        let mut next_round = Instant::now();
        while !is_stopped() {
            let is_due = Instant::now() >= next_round;
            let mut entries = if is_due { group.take_over().await? } else { Vec::new() };
            if is_due && entries.is_empty() {
                group.tidy().await?;
                self.files.prune();
                next_round = Instant::now() + ROUND;
            }
            if entries.is_empty() {
                entries = group.read().await?;
            }
            if self.is_troubled {
                tracing::info!("log lines are collected again");
                self.is_troubled = false;
            }
            if !entries.is_empty() {
                // Nothing else runs here that this could hold up.
                self.files.append(&entries)?;
                group.confirm(&entries).await?;
                self.collected += entries.len() as u64;
            }
        }
        Ok(group.tidy().await?)
    }
}
