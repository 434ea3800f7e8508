//! What staff do with jobs and queues.

use chrono::{DateTime, Utc};
use diesel::{
    pg::Pg,
    prelude::*,
    result::{DatabaseErrorKind, Error},
    sql_query,
    sql_types::{self, Array},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Job, JobState, lists::JobFilter};
use crate::db::{
    Conn,
    schema::{job_attempts, job_queues, jobs},
};

/// A try that did not succeed.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = job_attempts, check_for_backend(Pg))]
pub struct Attempt {
    pub attempt: i32,
    pub outcome: super::TryOutcome,
    pub error: Option<String>,
    pub worker_id: Option<Uuid>,
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub created_at: DateTime<Utc>,
}

/// The tries of a job that did not succeed, the last first.
///
/// # Errors
/// When the statement fails.
pub async fn attempts(conn: &mut Conn, job: Uuid) -> QueryResult<Vec<Attempt>> {
    /// A job that is started again and again has many.
    const SHOWN: i64 = 100;
    job_attempts::table
        .filter(job_attempts::job_id.eq(job))
        .order(job_attempts::lease.desc())
        .limit(SHOWN)
        .select(Attempt::as_select())
        .load(conn)
        .await
}

/// Has a job run now, with all its tries before it; `None`, and of the transaction no more use, when it
/// runs or has succeeded, or when another one with its unique key waits or runs.
///
/// # Errors
/// When the statement fails.
pub async fn retry(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<Option<Job>> {
    let states = [JobState::Waiting, JobState::Failed, JobState::Cancelled];
    let retried = diesel::update(jobs::table.find(id).filter(jobs::state.eq_any(states)))
        .set((
            jobs::state.eq(JobState::Waiting),
            jobs::run_at.eq(now),
            jobs::attempts.eq(0),
            jobs::crashes.eq(0),
            jobs::cancel_requested.eq(false),
            jobs::finished_at.eq(None::<DateTime<Utc>>),
            jobs::updated_at.eq(now),
        ))
        .returning(Job::as_returning())
        .get_result(conn)
        .await;
    match retried {
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(None),
        retried => retried.optional(),
    }
}

/// Cancels a job that waits, and asks a running one to end; `None` when it has ended.
///
/// # Errors
/// When the statement fails.
pub async fn cancel(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<Option<Job>> {
    let waiting = diesel::update(jobs::table.find(id).filter(jobs::state.eq(JobState::Waiting)))
        .set((
            jobs::state.eq(JobState::Cancelled),
            jobs::finished_at.eq(now),
            jobs::updated_at.eq(now),
        ))
        .returning(Job::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    if waiting.is_some() {
        return Ok(waiting);
    }
    diesel::update(jobs::table.find(id).filter(jobs::state.eq(JobState::Running)))
        .set((jobs::cancel_requested.eq(true), jobs::updated_at.eq(now)))
        .returning(Job::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// Deletes a job, unless it runs; whether it did.
///
/// # Errors
/// When the statement fails.
pub async fn discard(conn: &mut Conn, id: Uuid) -> QueryResult<bool> {
    let job = jobs::table.find(id).filter(jobs::state.ne(JobState::Running));
    Ok(diesel::delete(job).execute(conn).await? == 1)
}

/// The failed jobs that match, up to a limit, the oldest first: what [`retry`] can be done with.
///
/// # Errors
/// When the statement fails.
pub async fn failed(conn: &mut Conn, filter: &JobFilter, limit: i64) -> QueryResult<Vec<Uuid>> {
    super::lists::matching(filter)
        .filter(jobs::state.eq(JobState::Failed))
        .order((jobs::finished_at, jobs::id))
        .limit(limit)
        .select(jobs::id)
        .load(conn)
        .await
}

/// The queues that are paused, by name.
///
/// # Errors
/// When the statement fails.
pub async fn paused(conn: &mut Conn) -> QueryResult<Vec<(String, DateTime<Utc>)>> {
    job_queues::table
        .filter(job_queues::paused_at.is_not_null())
        .order(job_queues::name)
        .select((job_queues::name, job_queues::paused_at.assume_not_null()))
        .load(conn)
        .await
}

/// Pauses or resumes a queue: whether that changed anything.
///
/// # Errors
/// When the statement fails.
pub async fn set_paused(
    conn: &mut Conn,
    queue: &str,
    paused: bool,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let paused_at = paused.then_some(now);
    let upsert = diesel::insert_into(job_queues::table)
        .values((
            job_queues::name.eq(queue),
            job_queues::paused_at.eq(paused_at),
            job_queues::created_at.eq(now),
            job_queues::updated_at.eq(now),
        ))
        .on_conflict(job_queues::name)
        .do_update()
        .set((job_queues::paused_at.eq(paused_at), job_queues::updated_at.eq(now)));
    let changed = diesel::query_dsl::methods::FilterDsl::filter(
        upsert,
        job_queues::paused_at.is_null().eq(paused),
    );
    Ok(changed.execute(conn).await? == 1)
}

/// Deletes the jobs that are about these users, or that they asked for, but not those that run: these find
/// nobody any more. What such a job is told names its user as `user_id`.
///
/// # Errors
/// When the statement fails.
pub async fn delete_of_users(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<usize> {
    sql_query(
        "DELETE FROM jobs
         WHERE (user_id = ANY($1) OR payload ->> 'user_id' = ANY($1::text[])) AND state <> 'running'",
    )
    .bind::<Array<sql_types::Uuid>, _>(ids)
    .execute(conn)
    .await
}
