//! What staff see of jobs, and do with them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    db::{
        Origin, Tx,
        jobs::{
            self,
            control::{self, Attempt},
            lists::{self, JobFilter, JobSort},
            schedules::{self, ScheduleRow},
            stats::{self, Minute, QueueCounts, Recent},
            workers::{self, Worker},
        },
    },
    services::{
        Code, Core, Result,
        audit::{self, Entry, Subject},
        cursors::{ListRequest, Listed},
        jobs::Schedule,
    },
};

pub use jobs::Job as JobRow;

/// Over which time numbers of what has ended are taken.
const SPAN: TimeDelta = TimeDelta::hours(1);

/// How the queues do.
#[derive(Debug, Clone)]
pub struct Overview {
    pub queues: Vec<QueueCounts>,
    /// Those that are paused, and since when.
    pub paused: Vec<(String, DateTime<Utc>)>,
    /// What ended within the last hour.
    pub recent: Vec<Recent>,
    /// Of the last hour.
    pub throughput: Vec<Minute>,
    pub workers: Vec<Worker>,
}

/// How the queues do: five statements, whose cost doesn't grow with the history.
///
/// # Errors
/// When the database fails.
pub async fn overview(core: &Core) -> Result<Overview> {
    let now = core.clock.now();
    let mut conn = core.db.conn().await?;
    Ok(Overview {
        queues: stats::queues(&mut conn, now).await?,
        paused: control::paused(&mut conn).await?,
        recent: stats::recent(&mut conn, SPAN, now).await?,
        throughput: stats::throughput(&mut conn, SPAN, now).await?,
        workers: workers::list(&mut conn).await?,
    })
}

/// One page of the jobs that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &JobFilter,
    request: ListRequest<JobSort>,
) -> Result<Listed<JobRow>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(lists::count(&mut conn, filter)).await?;
    let rows = lists::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows.into_iter().map(redacted).collect(), total)
}

/// One job, and its tries that did not succeed.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<(JobRow, Vec<Attempt>)> {
    let mut conn = core.db.conn().await?;
    let job = jobs::find(&mut conn, id).await?.ok_or(Code::NotFound)?;
    Ok((redacted(job), control::attempts(&mut conn, id).await?))
}

/// Has a job run now that waits, was cancelled, or was given up.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::JobInOtherState`] when it runs or has succeeded, or when another one does
/// the same already.
pub async fn retry(core: &Core, origin: &Origin, id: Uuid) -> Result<JobRow> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let before = jobs::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
    let job = control::retry(&mut tx, id, now).await?.ok_or(Code::JobInOtherState)?;
    let entry = Entry::new(audit::Action::JobRetried, Subject::Job(id)).changed(&before, &job);
    audit::record(core, &mut tx, entry).await?;
    let waker = core.jobs.waker.clone();
    tx.after_commit(move || waker.wake());
    tx.commit().await?;
    Ok(redacted(job))
}

/// Cancels a job that waits, and asks a running one to end.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::JobInOtherState`] when it has ended.
pub async fn cancel(core: &Core, origin: &Origin, id: Uuid) -> Result<JobRow> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let before = jobs::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
    let job = control::cancel(&mut tx, id, now).await?.ok_or(Code::JobInOtherState)?;
    let entry = Entry::new(audit::Action::JobCancelled, Subject::Job(id)).changed(&before, &job);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(redacted(job))
}

/// Deletes a job that doesn't run.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::JobInOtherState`] when it runs.
pub async fn discard(core: &Core, origin: &Origin, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let job = jobs::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
    if !control::discard(&mut tx, id).await? {
        return Err(Code::JobInOtherState.into());
    }
    let entry = Entry::new(audit::Action::JobDiscarded, Subject::Job(id)).removed(&job);
    audit::record(core, &mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// Has the jobs that match and were given up run now, the oldest thousand; how many.
///
/// # Errors
/// When the database fails.
pub async fn retry_failed(core: &Core, origin: &Origin, filter: &JobFilter) -> Result<u32> {
    /// A caller who wants more asks again.
    const AT_ONCE: i64 = 1000;
    let failed = control::failed(&mut *core.db.conn().await?, filter, AT_ONCE).await?;
    let mut retried = 0;
    for id in failed {
        match retry(core, origin, id).await {
            Ok(_) => retried += 1,
            // Meanwhile somebody else has, or another one does the same.
            Err(error) if matches!(error.code, Code::NotFound | Code::JobInOtherState) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(retried)
}

/// Keeps workers from taking jobs of a queue, or lets them again; those that run go on.
///
/// # Errors
/// [`Code::NotFound`] for a queue that this program doesn't have.
pub async fn set_paused(core: &Core, origin: &Origin, queue: &str, paused: bool) -> Result<()> {
    if !core.jobs.queues.iter().any(|name| name == queue) {
        return Err(Code::NotFound.into());
    }
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    if control::set_paused(&mut tx, queue, paused, now).await? {
        let action = if paused { audit::Action::QueuePaused } else { audit::Action::QueueResumed };
        audit::record(core, &mut tx, Entry::new(action, Subject::Queue(queue))).await?;
    }
    let waker = core.jobs.waker.clone();
    tx.after_commit(move || waker.wake());
    Ok(tx.commit().await?)
}

/// A schedule, and where it is; no row as long as no worker has seen it.
#[derive(Debug)]
pub struct ScheduleState<'a> {
    pub schedule: &'a Schedule,
    pub row: Option<ScheduleRow>,
    /// When it is due next; never, while it is off.
    pub next: Option<DateTime<Utc>>,
}

/// All schedules that this program has.
///
/// # Errors
/// When the database fails.
pub async fn all_schedules(core: &Core) -> Result<Vec<ScheduleState<'_>>> {
    let rows = schedules::list(&mut *core.db.conn().await?).await?;
    let state = |schedule| state_of(core, schedule, &rows);
    Ok(core.jobs.schedules.iter().map(state).collect())
}

fn state_of<'a>(core: &Core, schedule: &'a Schedule, rows: &[ScheduleRow]) -> ScheduleState<'a> {
    let row = rows.iter().find(|row| row.name == schedule.name).cloned();
    let is_enabled = row.as_ref().is_none_or(|row| row.is_enabled);
    let next = is_enabled.then(|| schedule.next(core.clock.now())).flatten();
    ScheduleState { schedule, row, next }
}

fn schedule<'a>(core: &'a Core, name: &str) -> Result<&'a Schedule> {
    let found = core.jobs.schedules.iter().find(|schedule| schedule.name == name);
    Ok(found.ok_or(Code::NotFound)?)
}

/// Turns a schedule on or off.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn set_schedule_enabled<'a>(
    core: &'a Core,
    origin: &Origin,
    name: &str,
    enabled: bool,
) -> Result<ScheduleState<'a>> {
    let schedule = schedule(core, name)?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    schedules::ensure(&mut tx, &[schedule.name], now).await?;
    let row = schedules::set_enabled(&mut tx, name, enabled, now).await?;
    let action =
        if enabled { audit::Action::ScheduleEnabled } else { audit::Action::ScheduleDisabled };
    audit::record(core, &mut tx, Entry::new(action, Subject::Schedule(name))).await?;
    tx.commit().await?;
    Ok(state_of(core, schedule, row.as_slice()))
}

/// Has what a schedule does done now, besides its ticks: the job, unless it waits or runs already.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn run_schedule(core: &Core, origin: &Origin, name: &str) -> Result<Option<Uuid>> {
    let schedule = schedule(core, name)?;
    let mut tx = core.db.begin(origin).await?;
    let job = store_scheduled(core, &mut tx, schedule).await?;
    let entry = Entry::new(audit::Action::ScheduleRun, Subject::Schedule(name));
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(job)
}

/// Stores the job of a schedule, and notes which one it is.
///
/// # Errors
/// When the database fails.
pub async fn store_scheduled(
    core: &Core,
    tx: &mut Tx,
    schedule: &Schedule,
) -> Result<Option<Uuid>> {
    let stored = core.jobs.enqueue_all(core, tx, vec![schedule.order()?]).await?;
    let job = stored.first().copied();
    schedules::set_last_job(tx, schedule.name, job).await?;
    Ok(job)
}

/// Without what must not be shown: values whose names say that they are secret (ASVS 5.0, 14.2.4).
fn redacted(mut job: JobRow) -> JobRow {
    redact(&mut job.payload);
    if let Some(result) = &mut job.result {
        redact(result);
    }
    job
}

fn redact(value: &mut Value) {
    const SECRET: [&str; 8] =
        ["password", "token", "secret", "code", "credential", "api_key", "authorization", "cookie"];
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.to_lowercase();
                if SECRET.iter().any(|secret| name.contains(secret)) {
                    *value = Value::from("[removed]");
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_removed_at_any_depth() {
        let mut value = json!({
            "user_id": 1, "Password": "x", "list": [{"reset_token": "x", "n": 2}], "apiKey": "seen",
            "deep": {"client_secret": {"a": "x"}}
        });
        redact(&mut value);
        let removed = "[removed]";
        let expected = json!({
            "user_id": 1, "Password": removed, "list": [{"reset_token": removed, "n": 2}],
            "apiKey": "seen", "deep": {"client_secret": removed}
        });
        assert_eq!(value, expected);
    }
}
