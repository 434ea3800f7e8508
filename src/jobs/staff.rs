//! What staff are mailed.

use super::{Context, Handler, JobError};
use crate::services::staff_recovery::{self, SendStaffPasswordReset};

impl Handler for SendStaffPasswordReset {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(staff_recovery::send(core, origin, *id, &self).await?)
    }
}
