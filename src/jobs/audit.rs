//! What the audit log needs done.

use serde::{Deserialize, Serialize};

use super::{Context, Handler, JobError};
use crate::services::{audit, jobs::Job};

/// Makes the log's partitions before they are needed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakePartitions {}

impl Job for MakePartitions {
    const KIND: &'static str = "audit.make_partitions";
    const QUEUE: &'static str = "maintenance";

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

impl Handler for MakePartitions {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        Ok(audit::make_partitions(&context.core).await?)
    }
}
