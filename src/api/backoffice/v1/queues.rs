//! What the queues hold and how fast they are worked off, as staff see it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{Tag, jobs::an_id};
use crate::{
    api::{
        auth::StaffAuth,
        envelope::{Answer, ApiResponse, NoContent},
        error::ApiError,
    },
    db::jobs::{stats, workers},
    services::{
        Core,
        jobs::{
            Jobs,
            control::{self, Overview},
        },
        permissions::{JobsRead, JobsWrite},
    },
};

/// A queue.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Whether this version of the program works on it.
    pub is_known: bool,
    /// Since when no jobs are taken; absent while they are.
    #[oai(skip_serializing_if_is_none)]
    pub paused_at: Option<DateTime<Utc>>,
    /// Jobs that are due, and not yet taken.
    pub due: i64,
    /// Jobs for a later time, or for their next try.
    pub scheduled: i64,
    /// Jobs that are worked on.
    pub running: i64,
    /// Jobs that were given up, and neither tried again nor discarded since.
    pub failed: i64,
    /// Since when the job waits that has been due for longest; absent when none is due.
    #[oai(skip_serializing_if_is_none)]
    pub oldest_due_at: Option<DateTime<Utc>>,
    /// What ended within the last hour.
    pub last_hour: QueueHistory,
}

/// What ended, and how long it took.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct QueueHistory {
    /// Jobs that succeeded.
    pub succeeded: i64,
    /// Jobs that were given up.
    pub failed: i64,
    /// Jobs that were cancelled.
    pub cancelled: i64,
    /// How long half of them waited at most, from when they were due, in milliseconds; absent when
    /// nothing ended, like those below.
    #[oai(skip_serializing_if_is_none)]
    pub wait_p50_ms: Option<f64>,
    /// How long 95 % of them waited at most.
    #[oai(skip_serializing_if_is_none)]
    pub wait_p95_ms: Option<f64>,
    /// How long the last try of half of them ran at most.
    #[oai(skip_serializing_if_is_none)]
    pub run_p50_ms: Option<f64>,
    /// How long the last try of 95 % of them ran at most.
    #[oai(skip_serializing_if_is_none)]
    pub run_p95_ms: Option<f64>,
}

/// How many jobs ended in a minute.
#[derive(Debug, Object)]
#[oai(example)]
pub struct JobMinute {
    /// Its beginning.
    pub minute: DateTime<Utc>,
    /// Jobs that succeeded.
    pub succeeded: i64,
    /// Jobs that were given up or cancelled.
    pub others: i64,
}

/// A process that works on jobs.
#[derive(Debug, Object)]
#[oai(example)]
pub struct JobWorker {
    /// Made at each start.
    pub id: Uuid,
    /// The name of its machine.
    pub host: String,
    /// Its number there.
    pub pid: i32,
    /// How many jobs it works on at a time.
    pub slots: i32,
    /// How many it works on now.
    pub busy: i32,
    /// Whether it has missed a sign of life. After three its jobs go to others.
    pub is_silent: bool,
    /// When it last said that it is alive, by the database's clock.
    pub heartbeat_at: DateTime<Utc>,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

/// How the queues do.
#[derive(Debug, Object)]
#[oai(example)]
pub struct QueueOverview {
    /// By name.
    pub queues: Vec<Queue>,
    /// The minutes of the last hour in which any job ended, the oldest first.
    pub throughput: Vec<JobMinute>,
    /// The oldest first.
    pub workers: Vec<JobWorker>,
}

/// Operations on queues.
pub struct QueuesApi;

#[OpenApi(prefix_path = "/queues", tag = "Tag::Jobs")]
impl QueuesApi {
    /// Read how the queues do
    ///
    /// What they hold, what the last hour brought, and who works.
    #[oai(path = "/", method = "get", operation_id = "get_queues")]
    async fn get(
        &self,
        _auth: StaffAuth<JobsRead>,
        core: Data<&Arc<Core>>,
    ) -> Answer<QueueOverview> {
        let overview = control::overview(core.0).await?;
        Ok(ApiResponse::success(QueueOverview::new(overview, &core.jobs)))
    }

    /// Pause a queue
    ///
    /// Its jobs are not taken any more; those that run go on.
    #[oai(path = "/:name/pause", method = "post", operation_id = "pause_queue")]
    async fn pause(
        &self,
        auth: StaffAuth<JobsWrite>,
        core: Data<&Arc<Core>>,
        /// The queue's name.
        #[oai(example = "a_name")]
        name: Path<String>,
    ) -> Result<NoContent, ApiError> {
        control::set_paused(core.0, &auth.origin, &name.0, true).await?;
        Ok(NoContent::Done)
    }

    /// Resume a queue
    ///
    /// Its jobs are taken again.
    #[oai(path = "/:name/resume", method = "post", operation_id = "resume_queue")]
    async fn resume(
        &self,
        auth: StaffAuth<JobsWrite>,
        core: Data<&Arc<Core>>,
        /// The queue's name.
        #[oai(example = "a_name")]
        name: Path<String>,
    ) -> Result<NoContent, ApiError> {
        control::set_paused(core.0, &auth.origin, &name.0, false).await?;
        Ok(NoContent::Done)
    }
}

impl QueueOverview {
    fn new(overview: Overview, jobs: &Jobs) -> Self {
        let worker = |worker| JobWorker::new(worker, jobs.heartbeat);
        Self {
            queues: queues(&overview, &jobs.queues),
            throughput: overview.throughput.into_iter().map(Into::into).collect(),
            workers: overview.workers.into_iter().map(worker).collect(),
        }
    }
}

/// Those of this program, and those that have anything else.
fn queues(overview: &Overview, known: &[String]) -> Vec<Queue> {
    let counted = overview.queues.iter().map(|counts| &counts.queue);
    let recent = overview.recent.iter().map(|recent| &recent.queue);
    let mut names: Vec<&String> = known.iter().chain(counted).chain(recent).collect();
    names.sort_unstable();
    names.dedup();
    let queue = |name: &String| {
        let counts = overview.queues.iter().find(|counts| counts.queue == *name);
        let recent = overview.recent.iter().find(|recent| recent.queue == *name);
        let paused = overview.paused.iter().find(|(queue, _)| queue == name);
        let count = |of: fn(&stats::QueueCounts) -> i64| counts.map_or(0, of);
        Queue {
            name: name.clone(),
            is_known: known.contains(name),
            paused_at: paused.map(|(_, since)| *since),
            due: count(|counts| counts.due),
            scheduled: count(|counts| counts.scheduled),
            running: count(|counts| counts.running),
            failed: count(|counts| counts.failed),
            oldest_due_at: counts.and_then(|counts| counts.oldest_due),
            last_hour: recent.map(Into::into).unwrap_or_default(),
        }
    };
    names.into_iter().map(queue).collect()
}

impl From<&stats::Recent> for QueueHistory {
    fn from(recent: &stats::Recent) -> Self {
        Self {
            succeeded: recent.succeeded,
            failed: recent.failed,
            cancelled: recent.cancelled,
            wait_p50_ms: recent.wait_p50,
            wait_p95_ms: recent.wait_p95,
            run_p50_ms: recent.run_p50,
            run_p95_ms: recent.run_p95,
        }
    }
}

impl From<stats::Minute> for JobMinute {
    fn from(minute: stats::Minute) -> Self {
        Self { minute: minute.minute, succeeded: minute.succeeded, others: minute.others }
    }
}

impl JobWorker {
    fn new(worker: workers::Worker, heartbeat: Duration) -> Self {
        Self {
            id: worker.id,
            host: worker.host,
            pid: worker.pid,
            slots: worker.slots,
            busy: worker.busy,
            // One that comes a little late is none that is missed.
            is_silent: worker.silence > heartbeat.as_secs_f64() * 2.0,
            heartbeat_at: worker.heartbeat_at,
            started_at: worker.created_at,
        }
    }
}

fn a_name() -> String {
    Queue::example().name
}

impl Example for Queue {
    fn example() -> Self {
        Self {
            name: "default".to_owned(),
            is_known: true,
            paused_at: Some(DateTime::UNIX_EPOCH),
            due: 3,
            scheduled: 12,
            running: 5,
            failed: 1,
            oldest_due_at: Some(DateTime::UNIX_EPOCH),
            last_hour: QueueHistory::example(),
        }
    }
}

impl Example for QueueHistory {
    fn example() -> Self {
        Self {
            succeeded: 1200,
            failed: 1,
            cancelled: 0,
            wait_p50_ms: Some(2.0),
            wait_p95_ms: Some(25.0),
            run_p50_ms: Some(140.0),
            run_p95_ms: Some(900.0),
        }
    }
}

impl Example for JobMinute {
    fn example() -> Self {
        Self { minute: DateTime::UNIX_EPOCH, succeeded: 20, others: 1 }
    }
}

impl Example for JobWorker {
    fn example() -> Self {
        Self {
            id: an_id(),
            host: "api-1".to_owned(),
            pid: 4711,
            slots: 10,
            busy: 5,
            is_silent: false,
            heartbeat_at: DateTime::UNIX_EPOCH,
            started_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for QueueOverview {
    fn example() -> Self {
        Self {
            queues: vec![Queue::example()],
            throughput: vec![JobMinute::example()],
            workers: vec![JobWorker::example()],
        }
    }
}
