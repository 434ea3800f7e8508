//! Removes old log files.

use serde::{Deserialize, Serialize};

use super::{Context, Handler, JobError};
use crate::{services::jobs::Job, telemetry};

/// Removes the old log files of the process that works on it. Those of processes elsewhere see to theirs with
/// the first line of each day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PruneLogs {}

/// How many files were removed.
#[derive(Debug, Serialize)]
pub struct Removed {
    removed: usize,
}

impl Job for PruneLogs {
    const KIND: &'static str = "logs.prune";
    const QUEUE: &'static str = "maintenance";

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

impl Handler for PruneLogs {
    type Output = Removed;

    async fn run(self, context: Context) -> Result<Removed, JobError> {
        let today = context.core.clock.now().date_naive();
        let removed = tokio::task::spawn_blocking(move || telemetry::prune(today)).await;
        Ok(Removed { removed: removed.map_err(JobError::retry)? })
    }
}
