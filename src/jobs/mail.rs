//! Sends mails soon after they were written.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{services::Core, telemetry::Chain};

/// How often mails are looked for that another process wrote or that are due again.
const POLL: Duration = Duration::from_secs(1);

/// Runs until `stop` turns true; the mail under way is finished first. No failure of the
/// database or of the mail server ends it.
pub async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        let started = Instant::now();
        let delivered = core.mails.deliver_next(&core).await;
        core.health.jobs_are_alive(started.elapsed());
        match delivered {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(error) => tracing::warn!("mail can't be sent: {}", Chain(&error)),
        }
        tokio::select! {
            _ = tokio::time::timeout(POLL, core.mails.written()) => {}
            _ = stop.changed() => {}
        }
    }
}
