//! Hands mails over, and writes those that an address is answered with.

use chrono::TimeDelta;

use super::{Context, Handler, JobError};
use crate::services::{
    mailed_answers::{self, AnswerRegistration, SendPasswordReset, SendVerificationCode},
    mails::{DeliverMail, Delivery},
};

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

impl Handler for AnswerRegistration {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(mailed_answers::answer_registration(core, origin, *id, self.user_id).await?)
    }
}

impl Handler for SendVerificationCode {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(mailed_answers::send_verification_code(core, origin, *id, self.user_id).await?)
    }
}

impl Handler for SendPasswordReset {
    type Output = ();

    async fn run(self, context: Context) -> Result<(), JobError> {
        let Context { core, origin, id, .. } = &context;
        Ok(mailed_answers::send_password_reset(core, origin, *id, self.user_id).await?)
    }
}
