//! Taking jobs, and saying how they ended.
//!
//! Whoever ends a job names its lease, the number of times that it was taken, and itself: a worker that
//! was taken for dead, and whose job another one has, is not heard any more (a fencing token).

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{
        Array, BigInt, Bool, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
    },
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{JobState, Priority, TryOutcome};
use crate::db::Conn;

/// A job that a worker has taken.
#[derive(Debug, Clone, QueryableByName)]
pub struct Taken {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Jsonb)]
    pub payload: Value,
    /// Which try it is, from 1.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    #[diesel(sql_type = Integer)]
    pub max_attempts: i32,
    #[diesel(sql_type = Integer)]
    pub lease: i32,
    /// Whether staff or its owner wanted it to end before it was taken again.
    #[diesel(sql_type = Bool)]
    pub cancel_requested: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub user_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub admin_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    pub request_id: String,
}

/// The part of the statements that takes what `due` has found.
macro_rules! take {
    () => {
        "UPDATE jobs
         SET state = 'running', attempts = attempts + 1, lease = lease + 1, worker_id = $1,
             progress = 0, message = NULL, started_at = $2, updated_at = $2
         FROM due WHERE jobs.id = due.id
         RETURNING jobs.id, kind, payload, attempts, max_attempts, lease, cancel_requested,
                   user_id, admin_id, request_id"
    };
}

/// Each priority of each queue is a range of the index `jobs_due`, in order of time, so that neither what
/// is due later nor what is paused costs anything. Nothing is locked that isn't taken.
const CLAIM: &str = concat!(
    "WITH due AS MATERIALIZED (
         SELECT found.id
         FROM unnest($3, $4) AS place (queue, priority)
         CROSS JOIN LATERAL (
             SELECT id FROM jobs
             WHERE queue = place.queue AND priority = place.priority
               AND state = 'waiting' AND NOT is_suspect AND run_at <= $2
               AND (SELECT paused_at FROM job_queues WHERE name = place.queue) IS NULL
             ORDER BY run_at, id
             LIMIT $5 FOR UPDATE OF jobs SKIP LOCKED
         ) AS found
         LIMIT $5
     ) ",
    take!()
);

/// Takes up to `limit` jobs that are due: the higher priorities first, and of these the queues in the order
/// in which they are named.
///
/// # Errors
/// When the statement fails.
pub async fn claim(
    conn: &mut Conn,
    worker: Uuid,
    queues: &[String],
    limit: usize,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Taken>> {
    let places =
        || Priority::ALL.iter().flat_map(|one| queues.iter().map(move |queue| (queue, one)));
    let names: Vec<&str> = places().map(|(queue, _)| queue.as_str()).collect();
    let ranks: Vec<i16> = places().map(|(_, priority)| priority.rank()).collect();
    sql_query(CLAIM)
        .bind::<SqlUuid, _>(worker)
        .bind::<Timestamptz, _>(now)
        .bind::<Array<Text>, _>(names)
        .bind::<Array<SmallInt>, _>(ranks)
        .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
        .load(conn)
        .await
}

const CLAIM_SUSPECT: &str = concat!(
    "WITH due AS MATERIALIZED (
         SELECT id FROM jobs
         WHERE state = 'waiting' AND is_suspect AND run_at <= $2 AND queue = ANY($3)
           AND queue NOT IN (SELECT name FROM job_queues WHERE paused_at IS NOT NULL)
         ORDER BY run_at, id
         LIMIT 1 FOR UPDATE OF jobs SKIP LOCKED
     ) ",
    take!()
);

/// Takes one job that ran when a worker died. Nothing else may run beside it.
///
/// # Errors
/// When the statement fails.
pub async fn claim_suspect(
    conn: &mut Conn,
    worker: Uuid,
    queues: &[String],
    now: DateTime<Utc>,
) -> QueryResult<Option<Taken>> {
    sql_query(CLAIM_SUSPECT)
        .bind::<SqlUuid, _>(worker)
        .bind::<Timestamptz, _>(now)
        .bind::<Array<Text>, _>(queues)
        .get_result(conn)
        .await
        .optional()
}

/// Whether there is such a job.
///
/// # Errors
/// When the statement fails.
pub async fn has_suspect(
    conn: &mut Conn,
    queues: &[String],
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    use crate::db::schema::jobs;
    let due = jobs::table
        .filter(jobs::state.eq(JobState::Waiting).and(jobs::is_suspect))
        .filter(jobs::run_at.le(now).and(jobs::queue.eq_any(queues)));
    diesel::select(diesel::dsl::exists(due)).get_result(conn).await
}

/// A job that has succeeded.
#[derive(Debug, Clone)]
pub struct Success {
    pub id: Uuid,
    pub lease: i32,
    pub result: Option<Value>,
}

/// Notes those that succeeded: the identifiers of those that were this worker's.
///
/// # Errors
/// When the statement fails.
pub async fn complete(
    conn: &mut Conn,
    worker: Uuid,
    done: &[Success],
    now: DateTime<Utc>,
) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let ids: Vec<Uuid> = done.iter().map(|one| one.id).collect();
    let leases: Vec<i32> = done.iter().map(|one| one.lease).collect();
    let results: Vec<Option<&Value>> = done.iter().map(|one| one.result.as_ref()).collect();
    let rows: Vec<Row> = sql_query(
        "UPDATE jobs
         SET state = 'succeeded', result = done.result, progress = 100, is_suspect = false,
             finished_at = $5, updated_at = $5
         FROM unnest($2, $3, $4) AS done (id, lease, result)
         WHERE jobs.id = done.id AND jobs.lease = done.lease
           AND state = 'running' AND worker_id = $1
         RETURNING jobs.id",
    )
    .bind::<SqlUuid, _>(worker)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>(leases)
    .bind::<Array<Nullable<Jsonb>>, _>(results)
    .bind::<Timestamptz, _>(now)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// A try that did not succeed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub id: Uuid,
    pub lease: i32,
    pub outcome: TryOutcome,
    pub error: String,
    /// When to try again; never, if it is given up.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Notes a failure and why, and whether the job was this worker's. One that was to be cancelled isn't
/// tried again.
///
/// # Errors
/// When the statement fails.
pub async fn fail(
    conn: &mut Conn,
    worker: Uuid,
    failure: &Failure,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let (cancelled, retry) = (failure.outcome == TryOutcome::Cancelled, failure.retry_at);
    let state = match retry {
        _ if cancelled => JobState::Cancelled,
        Some(_) => JobState::Waiting,
        None => JobState::Failed,
    };
    let noted = sql_query(
        "WITH ended AS (
             UPDATE jobs
             SET state = CASE WHEN $4 = 'waiting' AND cancel_requested THEN 'cancelled' ELSE $4 END,
                 finished_at = CASE WHEN $4 = 'waiting' AND NOT cancel_requested THEN NULL ELSE $5 END,
                 run_at = COALESCE($6, run_at), is_suspect = false, last_error = $7, updated_at = $5
             WHERE id = $2 AND lease = $3 AND state = 'running' AND worker_id = $1
             RETURNING id, lease, attempts, worker_id, started_at
         )
         INSERT INTO job_attempts
             (job_id, lease, attempt, outcome, error, worker_id, started_at, created_at, updated_at)
         SELECT id, lease, attempts, $8, $7, worker_id, started_at, $5, $5 FROM ended",
    )
    .bind::<SqlUuid, _>(worker)
    .bind::<SqlUuid, _>(failure.id)
    .bind::<Integer, _>(failure.lease)
    .bind::<Text, _>(state)
    .bind::<Timestamptz, _>(now)
    .bind::<Nullable<Timestamptz>, _>(retry)
    .bind::<Text, _>(&failure.error)
    .bind::<Text, _>(failure.outcome)
    .execute(conn)
    .await?;
    Ok(noted == 1)
}

/// A try that could not be made.
#[derive(Debug, Clone)]
pub struct Postponed {
    pub id: Uuid,
    pub lease: i32,
    pub why: String,
    pub run_at: DateTime<Utc>,
}

/// Puts a job off, without a charge, and tells whether it was this worker's. One that was to be cancelled is.
///
/// # Errors
/// When the statement fails.
pub async fn postpone(
    conn: &mut Conn,
    worker: Uuid,
    postponed: &Postponed,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let noted = sql_query(
        "UPDATE jobs
         SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'waiting' END,
             finished_at = CASE WHEN cancel_requested THEN $4 END,
             run_at = $5, attempts = attempts - 1, is_suspect = false, last_error = $6, updated_at = $4
         WHERE id = $2 AND lease = $3 AND state = 'running' AND worker_id = $1",
    )
    .bind::<SqlUuid, _>(worker)
    .bind::<SqlUuid, _>(postponed.id)
    .bind::<Integer, _>(postponed.lease)
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(postponed.run_at)
    .bind::<Text, _>(&postponed.why)
    .execute(conn)
    .await?;
    Ok(noted == 1)
}

/// Gives back jobs that this worker doesn't work on, by their leases, as if they had not been taken.
///
/// # Errors
/// When the statement fails.
pub async fn give_back(
    conn: &mut Conn,
    worker: Uuid,
    unknown: &[(Uuid, i32)],
    now: DateTime<Utc>,
) -> QueryResult<usize> {
    let (ids, leases): (Vec<Uuid>, Vec<i32>) = unknown.iter().copied().unzip();
    sql_query(
        "UPDATE jobs SET state = 'waiting', attempts = attempts - 1, run_at = $4, updated_at = $4
         FROM unnest($2, $3) AS unknown (id, lease)
         WHERE jobs.id = unknown.id AND jobs.lease = unknown.lease
           AND state = 'running' AND worker_id = $1",
    )
    .bind::<SqlUuid, _>(worker)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>(leases)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await
}

/// Gives everything back that this worker has not finished, as if it had not been taken.
///
/// # Errors
/// When the statement fails.
pub async fn release(conn: &mut Conn, worker: Uuid, now: DateTime<Utc>) -> QueryResult<usize> {
    use crate::db::schema::jobs;
    let held = jobs::worker_id.eq(worker).and(jobs::state.eq(JobState::Running));
    diesel::update(jobs::table.filter(held))
        .set((
            jobs::state.eq(JobState::Waiting),
            jobs::attempts.eq(jobs::attempts - 1),
            jobs::run_at.eq(now),
            jobs::updated_at.eq(now),
        ))
        .execute(conn)
        .await
}

/// How far a job has come.
#[derive(Debug, Clone)]
pub struct Progress {
    pub id: Uuid,
    pub lease: i32,
    pub percent: i16,
    pub message: Option<String>,
}

/// Notes how far jobs of this worker have come.
///
/// # Errors
/// When the statement fails.
pub async fn report(
    conn: &mut Conn,
    worker: Uuid,
    news: &[Progress],
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let ids: Vec<Uuid> = news.iter().map(|one| one.id).collect();
    let leases: Vec<i32> = news.iter().map(|one| one.lease).collect();
    let percents: Vec<i16> = news.iter().map(|one| one.percent).collect();
    let messages: Vec<Option<&str>> = news.iter().map(|one| one.message.as_deref()).collect();
    sql_query(
        "UPDATE jobs SET progress = news.percent, message = news.message, updated_at = $6
         FROM unnest($2, $3, $4, $5) AS news (id, lease, percent, message)
         WHERE jobs.id = news.id AND jobs.lease = news.lease
           AND state = 'running' AND worker_id = $1",
    )
    .bind::<SqlUuid, _>(worker)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>(leases)
    .bind::<Array<SmallInt>, _>(percents)
    .bind::<Array<Nullable<Text>>, _>(messages)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// A job that a worker still has.
#[derive(Debug, Clone, Queryable)]
pub struct Held {
    pub id: Uuid,
    pub lease: i32,
    pub cancel_requested: bool,
}

/// The jobs that a worker has.
///
/// # Errors
/// When the statement fails.
pub async fn held(conn: &mut Conn, worker: Uuid) -> QueryResult<Vec<Held>> {
    use crate::db::schema::jobs;
    jobs::table
        .filter(jobs::worker_id.eq(worker).and(jobs::state.eq(JobState::Running)))
        .select((jobs::id, jobs::lease, jobs::cancel_requested))
        .load(conn)
        .await
}
