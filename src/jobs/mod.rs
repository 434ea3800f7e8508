//! Work that no request waits for: what does it. What is wanted, and when, is in `services/jobs/`.

pub mod cleanup;
mod handler;
mod logs;
mod mail;
pub mod metrics;
mod registry;
mod scheduler;
mod users;
pub mod worker;

use crate::services::{
    events::{PasswordChanged, PasswordResetRequested, UserVerified},
    jobs::Schedule,
    mails::DeliverMail,
    reactions::{Notify, SendPasswordReset, SendWelcome},
};
use cleanup::{CleanUp, What};
pub use handler::{Context, Handler, JobError};
use logs::PruneLogs;
pub use registry::Registry;
pub use worker::{Options, Worker};

/// Everything that comes with Twofold. A feature adds its jobs here, a line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::default()
        .handle::<DeliverMail>()
        .on(|event: &UserVerified| SendWelcome { user_id: event.user_id })
        .on(|event: &PasswordResetRequested| SendPasswordReset { user_id: event.user_id })
        .on(|event: &PasswordChanged| Notify {
            user_id: event.user_id,
            about: "password_changed".to_owned(),
        })
        .schedule::<CleanUp>(clean_up("tokens", "7 * * * *", What::Tokens))
        .schedule::<CleanUp>(clean_up("sessions", "17 3 * * *", What::Sessions))
        .schedule::<CleanUp>(clean_up("idempotency_keys", "27 * * * *", What::IdempotencyKeys))
        .schedule::<CleanUp>(clean_up("job_history", "37 * * * *", What::JobHistory))
        .schedule::<CleanUp>(clean_up("mails", "47 * * * *", What::Mails))
        .schedule::<PruneLogs>(Schedule::new("logs", "5 0 * * *", PruneLogs {}))
}

fn clean_up(name: &'static str, cron: &str, what: What) -> Schedule {
    Schedule::new(name, cron, CleanUp { what })
}
