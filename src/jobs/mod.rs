//! Work that no request waits for: what does it. What is wanted, and when, is in `services/jobs/`.

pub mod cleanup;
mod handler;
pub mod mail;
mod registry;
mod scheduler;
mod wake;
pub mod worker;

use crate::services::jobs::Schedule;
use cleanup::{CleanUp, What};
pub use handler::{Context, Handler, JobError};
pub use registry::Registry;
pub use wake::{listen, tell};
pub use worker::{Options, Worker};

/// Everything that comes with Twofold. A feature adds its jobs here, a line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::default()
        .schedule::<CleanUp>(clean_up("tokens", "7 * * * *", What::Tokens))
        .schedule::<CleanUp>(clean_up("sessions", "17 3 * * *", What::Sessions))
        .schedule::<CleanUp>(clean_up("idempotency_keys", "27 * * * *", What::IdempotencyKeys))
        .schedule::<CleanUp>(clean_up("job_history", "37 * * * *", What::JobHistory))
}

fn clean_up(name: &'static str, cron: &str, what: What) -> Schedule {
    Schedule::new(name, cron, CleanUp { what })
}
