//! What follows from what happens to users.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Context, Handler, JobError};
use crate::services::{
    deletion,
    impersonation::{self, EndImpersonation},
    jobs::Job,
    notices::{self, Notify},
    reactions::{self, SendWelcome},
    users::status::{self, LiftSuspension},
};

impl Handler for SendWelcome {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(reactions::send_welcome(core, origin, *id, self.user_id).await?)
    }
}

impl Handler for Notify {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(notices::notify(core, origin, *id, &self).await?)
    }
}

impl Handler for LiftSuspension {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, .. } = &context;
        Ok(status::lift_suspension(core, origin, self.user_id).await?)
    }
}

impl Handler for EndImpersonation {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, .. } = &context;
        Ok(impersonation::end_expired(core, origin, self.session_id).await?)
    }
}

/// Erases the accounts whose time of grace is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EraseUsers {}

impl Job for EraseUsers {
    const KIND: &'static str = "user.erase_due";
    const QUEUE: &'static str = "maintenance";
    const TIME_LIMIT: Duration = Duration::from_hours(1);

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

/// How many accounts were erased.
#[derive(Debug, Serialize)]
pub struct Erased {
    erased: usize,
}

impl Handler for EraseUsers {
    type Output = Erased;

    async fn run(self, context: Context) -> Result<Erased, JobError> {
        const AT_ONCE: i64 = 100;
        let mut erased = 0;
        while !context.is_cancelled() {
            let found = deletion::erase_due(&context.core, &context.origin, AT_ONCE).await?;
            if found == 0 {
                break;
            }
            erased += found;
            context.progress(50, format!("{erased} accounts"));
        }
        Ok(Erased { erased })
    }
}
