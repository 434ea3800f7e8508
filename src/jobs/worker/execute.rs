//! Has one job done.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};
use tracing::Instrument;

use super::{End, Entry, Shared};
use crate::{
    db::{
        Origin,
        jobs::{
            TryOutcome,
            work::{Failure, Postponed, Success, Taken},
        },
    },
    jobs::handler::{Context, JobError},
    telemetry::Chain,
};

/// How long a job that is to end may go on before it is stopped.
const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// The pause after the first try that failed; it doubles with each, up to the longest.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(10);
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(6);

/// How a try ended.
enum Outcome {
    Ended(Result<Option<Value>, JobError>),
    Panicked,
    TimedOut(Duration),
    Stopped,
    /// Somebody else has it.
    Lost,
}

impl Shared {
    /// Has a job done, and passes on how it ended.
    pub(super) async fn execute(self: Arc<Self>, taken: Taken, ends: mpsc::Sender<End>) {
        let entry = Arc::new(Entry::new(taken.id, taken.lease));
        self.running.add(entry.clone());
        if taken.cancel_requested {
            entry.cancelled.cancel();
        }
        let span = tracing::error_span!(
            "job", job_id = %taken.id, kind = taken.kind, request_id = taken.request_id
        );
        let outcome = self.outcome(&taken, &entry).instrument(span.clone()).await;
        match span.in_scope(|| self.end(&taken, outcome)) {
            // The channel is closed when the worker has given everything back.
            Some(end) => drop(ends.send(end).await),
            None => self.running.remove(taken.id, taken.lease),
        }
        self.ended.notify_one();
    }

    async fn outcome(&self, taken: &Taken, entry: &Arc<Entry>) -> Outcome {
        let Some(kind) = self.registry.kinds.get(taken.kind.as_str()) else {
            // A newer version may know it: it is left to its workers.
            let cause = JobError::Retry { cause: "of an unknown kind".into(), after: None };
            return Outcome::Ended(Err(cause));
        };
        let origin = Origin { request_id: taken.request_id.clone(), ..Origin::system("job") };
        let context = Context {
            core: self.core.clone(),
            id: taken.id,
            attempt: taken.attempts,
            max_attempts: taken.max_attempts,
            origin,
            user_id: taken.user_id,
            admin_id: taken.admin_id,
            entry: entry.clone(),
        };
        let work = AssertUnwindSafe((kind.run)(taken.payload.clone(), context)).catch_unwind();
        let stopped = async {
            entry.cancelled.cancelled().await;
            sleep(CANCEL_GRACE).await;
        };
        tokio::select! {
            ended = work => ended.map_or(Outcome::Panicked, Outcome::Ended),
            () = sleep(kind.time_limit) => Outcome::TimedOut(kind.time_limit),
            () = stopped => Outcome::Stopped,
            () = entry.lost.cancelled() => Outcome::Lost,
        }
    }

    /// What is to be noted; logs what went wrong.
    fn end(&self, taken: &Taken, outcome: Outcome) -> Option<End> {
        let (id, lease) = (taken.id, taken.lease);
        let (outcome, error, after, may_retry) = match outcome {
            Outcome::Lost => {
                tracing::warn!("the job goes to another worker");
                return None;
            }
            Outcome::Ended(Ok(result)) => return Some(End::Success(Success { id, lease, result })),
            Outcome::Ended(Err(JobError::Postpone { cause, after })) => {
                let why = Chain(&*cause).to_string();
                tracing::debug!("the job is postponed: {why}");
                let run_at = self.core.clock.now() + after.max(TimeDelta::zero());
                return Some(End::Postponed(Postponed { id, lease, why, run_at }));
            }
            Outcome::Ended(Err(JobError::Cancelled)) | Outcome::Stopped => {
                (TryOutcome::Cancelled, "cancelled".to_owned(), None, false)
            }
            Outcome::Ended(Err(JobError::Fail(cause))) => {
                (TryOutcome::Failed, Chain(&*cause).to_string(), None, false)
            }
            Outcome::Ended(Err(JobError::Retry { cause, after })) => {
                (TryOutcome::Failed, Chain(&*cause).to_string(), after, true)
            }
            // The panic hook has logged where.
            Outcome::Panicked => (TryOutcome::Failed, "it panicked".to_owned(), None, true),
            Outcome::TimedOut(limit) => {
                (TryOutcome::TimedOut, format!("it took longer than {limit:?}"), None, true)
            }
        };
        let is_last = !may_retry || taken.attempts >= taken.max_attempts;
        let pause = pause(taken.attempts, self.core.random.bytes());
        let pause = after.map_or(pause, |after| after.max(TimeDelta::zero()));
        let retry_at = (!is_last).then(|| self.core.clock.now() + pause);
        log(outcome, &error, retry_at);
        Some(End::Failure(Failure { id, lease, outcome, error, retry_at }))
    }
}

fn log(outcome: TryOutcome, error: &str, retry_at: Option<DateTime<Utc>>) {
    match (outcome, retry_at) {
        (TryOutcome::Cancelled, _) => tracing::info!("the job was cancelled"),
        (_, Some(at)) => tracing::warn!("the job is tried again at {at:?}: {error}"),
        (_, None) => tracing::error!("the job is given up: {error}"),
    }
}

/// The pause after the given number of tries, a tenth longer or shorter by chance: what failed together
/// need not come back together.
fn pause(attempts: i32, chance: [u8; 2]) -> TimeDelta {
    let doublings = attempts.clamp(1, 24) - 1;
    let pause = (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
    let chance = i64::from(u16::from_be_bytes(chance)) * 200 / i64::from(u16::MAX) - 100;
    pause + TimeDelta::milliseconds(pause.num_milliseconds() * chance / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_spread() {
        let middle = [0x7f, 0xff];
        let seconds = |attempts| pause(attempts, middle).num_seconds();
        assert_eq!([1, 2, 3].map(seconds), [9, 19, 39]);
        for attempts in [1, 5, 12, 1000] {
            let (least, most) = (pause(attempts, [0, 0]), pause(attempts, [0xff, 0xff]));
            let exact = (FIRST_PAUSE * (1 << (attempts.min(24) - 1))).min(LONGEST_PAUSE);
            assert_eq!((least * 10, most * 10), (exact * 9, exact * 11));
        }
        let span: TimeDelta = (1..12).map(|attempts| pause(attempts, middle)).sum();
        assert!(span > TimeDelta::hours(5) && span < TimeDelta::hours(7), "{span}");
    }
}
