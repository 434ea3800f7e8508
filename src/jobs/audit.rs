//! What the audit log needs done.

use serde::{Deserialize, Serialize};

use super::{Context, Handler, JobError};
use crate::services::{
    audit::{self, seals},
    jobs::Job,
};

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

/// Seals what was recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seal {}

impl Job for Seal {
    const KIND: &'static str = "audit.seal";
    const QUEUE: &'static str = "maintenance";

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

impl Handler for Seal {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        /// A segment.
        const AT_ONCE: i64 = 1000;
        while !context.is_cancelled() {
            if seals::seal(&context.core, &context.origin, AT_ONCE).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Drops the months that are kept no longer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DropOld {}

impl Job for DropOld {
    const KIND: &'static str = "audit.drop_old";
    const QUEUE: &'static str = "maintenance";

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

impl Handler for DropOld {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        seals::drop_old(&context.core, &context.origin).await?;
        Ok(())
    }
}
