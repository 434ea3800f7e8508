//! What becomes of files without a request.

use serde::Serialize;

use super::{Context, Handler, JobError};
use crate::services::files::{
    parts::{self, AssembleFile},
    pictures::{self, MakePicture},
    removal::{self, CleanUpFiles},
    strays::{self, SweepUploads},
};

/// What was done.
#[derive(Debug, Serialize)]
pub struct CleanedUp {
    /// Files that were not uploaded in time.
    given_up: usize,
    /// Objects, or all those of a file.
    deleted: usize,
}

impl Handler for CleanUpFiles {
    type Output = CleanedUp;

    async fn run(self, context: Context) -> Result<CleanedUp, JobError> {
        const AT_ONCE: i64 = 100;
        let Context { core, origin, .. } = &context;
        let mut done = CleanedUp { given_up: 0, deleted: 0 };
        while !context.is_cancelled() {
            let given_up = removal::give_up_expired(core, origin, AT_ONCE).await?;
            let deleted = removal::delete_doomed(core, origin, AT_ONCE).await?;
            if given_up + deleted == 0 {
                break;
            }
            done.given_up += given_up;
            done.deleted += deleted;
            context.progress(50, format!("{} objects", done.deleted));
        }
        Ok(done)
    }
}

impl Handler for MakePicture {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        Ok(pictures::make(&context.core, &context.origin, self.file_id).await?)
    }
}

impl Handler for AssembleFile {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        Ok(parts::assemble(&context.core, &context.origin, self.file_id).await?)
    }
}

impl Handler for SweepUploads {
    /// How many objects were deleted.
    type Output = usize;

    async fn run(self, context: Context) -> Result<usize, JobError> {
        let (mut deleted, mut after) = (0, None);
        while !context.is_cancelled() {
            let (strays, next) = strays::sweep(&context.core, after.as_deref()).await?;
            deleted += strays;
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(deleted)
    }
}
