//! Hands mails over.

use chrono::TimeDelta;

use super::{Context, Handler, JobError};
use crate::services::mails::{DeliverMail, Delivery};

impl Handler for DeliverMail {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let core = &context.core;
        match core.mails.deliver(core, self.mail_id, context.attempt).await? {
            Delivery::Sent => Ok(()),
            Delivery::Refused { why } => Err(JobError::retry(why)),
            Delivery::Waiting { why, pause } => {
                let after = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
                Err(JobError::Postpone { cause: why.into(), after })
            }
            Delivery::GivenUp { why } => Err(JobError::fail(why)),
        }
    }
}
