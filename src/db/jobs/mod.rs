//! `jobs`: work that no request waits for, from the wish to its end.
//!
//! Times of jobs come from the application's clock, as everywhere; those of workers' heartbeats are the
//! database's own, because the clocks of several machines would have to agree.

pub mod control;
pub mod lists;
pub mod schedules;
pub mod stats;
pub mod work;
pub mod workers;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{Conn, schema::jobs, text_enum};

text_enum! {
    /// How far a job is.
    JobState {
        /// For its time, for a worker, or for its next try.
        Waiting = "waiting",
        Running = "running",
        Succeeded = "succeeded",
        /// Given up: its tries are used up, or it can't succeed.
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// How a try ended that did not succeed.
    TryOutcome {
        Failed = "failed",
        /// It took longer than its kind may.
        TimedOut = "timed_out",
        /// Its worker died, or stopped for so long that it was taken for dead.
        Crashed = "crashed",
        Cancelled = "cancelled",
    }
}

/// Which jobs of a queue are taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    /// The first to be taken first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// As the column has it: the smallest is taken first.
    #[must_use]
    pub const fn rank(self) -> i16 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

/// What a new row needs.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    pub id: Uuid,
    pub queue: &'a str,
    pub kind: &'a str,
    pub payload: Value,
    pub priority: Priority,
    pub run_at: DateTime<Utc>,
    pub unique_key: Option<&'a str>,
    pub max_attempts: i32,
    pub user_id: Option<Uuid>,
    pub admin_id: Option<Uuid>,
    pub request_id: &'a str,
    pub now: DateTime<Utc>,
}

/// Stores jobs, but none whose unique key waits or runs already; returns the identifiers of those
/// that were stored.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: &[NewJob<'_>]) -> QueryResult<Vec<Uuid>> {
    let rows = new.iter().map(|job| {
        (
            jobs::id.eq(job.id),
            jobs::queue.eq(job.queue),
            jobs::kind.eq(job.kind),
            jobs::payload.eq(&job.payload),
            jobs::priority.eq(job.priority.rank()),
            jobs::state.eq(JobState::Waiting),
            jobs::run_at.eq(job.run_at),
            jobs::unique_key.eq(job.unique_key),
            (
                jobs::attempts.eq(0),
                jobs::max_attempts.eq(job.max_attempts),
                jobs::lease.eq(0),
                jobs::crashes.eq(0),
                jobs::is_suspect.eq(false),
                jobs::cancel_requested.eq(false),
                jobs::progress.eq(0),
            ),
            jobs::user_id.eq(job.user_id),
            jobs::admin_id.eq(job.admin_id),
            jobs::request_id.eq(job.request_id),
            jobs::created_at.eq(job.now),
            jobs::updated_at.eq(job.now),
        )
    });
    diesel::insert_into(jobs::table)
        .values(rows.collect::<Vec<_>>())
        .on_conflict_do_nothing()
        .returning(jobs::id)
        .get_results(conn)
        .await
}

/// A job.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = jobs, check_for_backend(Pg))]
pub struct Job {
    pub id: Uuid,
    pub queue: String,
    pub kind: String,
    pub payload: Value,
    pub state: JobState,
    pub priority: i16,
    pub run_at: DateTime<Utc>,
    pub unique_key: Option<String>,
    pub attempts: i32,
    pub max_attempts: i32,
    pub crashes: i32,
    pub worker_id: Option<Uuid>,
    pub cancel_requested: bool,
    /// In per cent.
    pub progress: i16,
    pub message: Option<String>,
    pub result: Option<Value>,
    pub last_error: Option<String>,
    pub user_id: Option<Uuid>,
    pub admin_id: Option<Uuid>,
    pub request_id: String,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The job with this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Job>> {
    jobs::table.find(id).select(Job::as_select()).first(conn).await.optional()
}
