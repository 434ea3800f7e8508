//! Sends mails soon after they were written.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::sync::watch;

use crate::{
    services::{Core, ServiceError},
    telemetry::Chain,
};

/// How often mails are looked for that another process wrote or that are due again.
const POLL: Duration = Duration::from_secs(1);

/// Runs until `stop` turns true; the mail under way is finished first. No failure of the
/// database or of the mail server ends it.
pub async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        let started = Instant::now();
        // A panic over one mail must not end the sending of all.
        let delivered = AssertUnwindSafe(core.mails.deliver_next(&core)).catch_unwind().await;
        let delivered = delivered.unwrap_or_else(|_| Err(ServiceError::internal("a panic")));
        core.health.jobs_are_alive(started.elapsed());
        match delivered {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(error) => tracing::warn!("mail can't be sent: {}", Chain(&error)),
        }
        tokio::select! {
            _ = tokio::time::timeout(POLL, core.mails.written()) => {}
            // Nobody is left who could say so.
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}
