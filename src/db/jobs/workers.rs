//! `job_workers`: who works on jobs, and what becomes of the jobs of those who have died.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{now as database_time, sql},
    expression::SqlLiteral,
    pg::Pg,
    prelude::*,
    sql_query,
    sql_types::{Double, Integer, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::{Conn, schema::job_workers};

/// A process that works on jobs.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = job_workers, check_for_backend(Pg))]
pub struct Worker {
    /// Made at each start, so that a process is never taken for the one before it.
    pub id: Uuid,
    pub host: String,
    pub pid: i32,
    /// How many jobs it works on at a time.
    pub slots: i32,
    /// How many it works on now.
    pub busy: i32,
    pub heartbeat_at: DateTime<Utc>,
    /// For how long it has said nothing, in seconds.
    #[diesel(select_expression = sql("extract(epoch FROM now() - heartbeat_at)::float8"))]
    #[diesel(select_expression_type = SqlLiteral<Double>)]
    pub silence: f64,
    /// When it started.
    pub created_at: DateTime<Utc>,
}

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub struct Sign<'a> {
    pub id: Uuid,
    pub host: &'a str,
    pub pid: i32,
    pub slots: i32,
    pub busy: i32,
}

/// Says that a worker is alive; also one that was taken for dead.
///
/// # Errors
/// When the statement fails.
pub async fn heartbeat(conn: &mut Conn, sign: &Sign<'_>, now: DateTime<Utc>) -> QueryResult<()> {
    diesel::insert_into(job_workers::table)
        .values((
            job_workers::id.eq(sign.id),
            job_workers::host.eq(sign.host),
            job_workers::pid.eq(sign.pid),
            job_workers::slots.eq(sign.slots),
            job_workers::busy.eq(sign.busy),
            job_workers::heartbeat_at.eq(database_time),
            job_workers::created_at.eq(now),
            job_workers::updated_at.eq(now),
        ))
        .on_conflict(job_workers::id)
        .do_update()
        .set((
            job_workers::busy.eq(sign.busy),
            job_workers::heartbeat_at.eq(database_time),
            job_workers::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// A worker ends.
///
/// # Errors
/// When the statement fails.
pub async fn remove(conn: &mut Conn, id: Uuid) -> QueryResult<()> {
    diesel::delete(job_workers::table.find(id)).execute(conn).await?;
    Ok(())
}

/// All workers, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut Conn) -> QueryResult<Vec<Worker>> {
    job_workers::table
        .order((job_workers::created_at, job_workers::id))
        .select(Worker::as_select())
        .load(conn)
        .await
}

/// What was done about a job whose worker has died.
#[derive(Debug, Clone, QueryableByName)]
pub struct Rescued {
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Text)]
    pub state: super::JobState,
}

/// Gives back the jobs of workers that have not been heard of for `silence`. No try is charged, but when
/// a job has killed its worker alone for `max_crashes` times, it is given up. Anyone may do this at any
/// time, several at once.
///
/// # Errors
/// When the statement fails.
pub async fn rescue(
    conn: &mut Conn,
    silence: Duration,
    max_crashes: i32,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Rescued>> {
    sql_query(
        "WITH dead AS (
             DELETE FROM job_workers
             WHERE heartbeat_at < now() - make_interval(secs => $1) RETURNING id
         ), lost AS (
             SELECT id, lease, worker_id,
                    count(*) OVER (PARTITION BY worker_id) = 1 AS was_alone
             FROM jobs
             WHERE state = 'running'
               AND (worker_id IN (SELECT id FROM dead)
                    OR NOT EXISTS (SELECT FROM job_workers WHERE job_workers.id = worker_id))
         ), rescued AS (
             UPDATE jobs
             SET state = CASE
                     WHEN cancel_requested THEN 'cancelled'
                     WHEN was_alone AND crashes + 1 >= $2 THEN 'failed'
                     ELSE 'waiting' END,
                 finished_at = CASE
                     WHEN cancel_requested OR was_alone AND crashes + 1 >= $2 THEN $3 END,
                 crashes = crashes + was_alone::integer,
                 attempts = attempts - 1,
                 is_suspect = true,
                 -- Not all at once.
                 run_at = $3 + random() * interval '2 seconds',
                 last_error = 'its worker died',
                 updated_at = $3
             FROM lost
             WHERE jobs.id = lost.id AND jobs.lease = lost.lease AND jobs.state = 'running'
             RETURNING jobs.id, kind, state, jobs.lease, attempts, jobs.worker_id, started_at
         ), noted AS (
             INSERT INTO job_attempts
                 (job_id, lease, attempt, outcome, error, worker_id, started_at, created_at, updated_at)
             SELECT id, lease, attempts + 1, 'crashed', 'its worker died', worker_id, started_at, $3, $3
             FROM rescued
         )
         SELECT id, kind, state FROM rescued",
    )
    .bind::<Double, _>(silence.as_secs_f64())
    .bind::<Integer, _>(max_crashes)
    .bind::<Timestamptz, _>(now)
    .load(conn)
    .await
}
