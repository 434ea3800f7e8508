//! What follows from what happens to users.

use super::{Context, Handler, JobError};
use crate::services::reactions::{self, Notify, SendPasswordReset, SendWelcome};

impl Handler for SendWelcome {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(reactions::send_welcome(core, origin, *id, self.user_id).await?)
    }
}

impl Handler for SendPasswordReset {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(reactions::send_password_reset(core, origin, *id, self.user_id).await?)
    }
}

impl Handler for Notify {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(reactions::notify(core, origin, *id, &self).await?)
    }
}
