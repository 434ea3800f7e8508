//! How the queues do, in numbers. Each statement reads what waits or runs, or what has ended lately.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Double, Nullable, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;

use crate::db::Conn;

/// What a queue has.
#[derive(Debug, Clone, QueryableByName)]
pub struct QueueCounts {
    #[diesel(sql_type = Text)]
    pub queue: String,
    /// Due, and not yet taken.
    #[diesel(sql_type = BigInt)]
    pub due: i64,
    /// For a later time, or for their next try.
    #[diesel(sql_type = BigInt)]
    pub scheduled: i64,
    #[diesel(sql_type = BigInt)]
    pub running: i64,
    /// Given up, and neither tried again nor discarded since.
    #[diesel(sql_type = BigInt)]
    pub failed: i64,
    /// Since when the one waits that has been due for longest.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub oldest_due: Option<DateTime<Utc>>,
}

/// What each queue has that has anything.
///
/// # Errors
/// When the statement fails.
pub async fn queues(conn: &mut Conn, now: DateTime<Utc>) -> QueryResult<Vec<QueueCounts>> {
    sql_query(
        "SELECT queue,
                count(*) FILTER (WHERE state = 'waiting' AND run_at <= $1) AS due,
                count(*) FILTER (WHERE state = 'waiting' AND run_at > $1) AS scheduled,
                count(*) FILTER (WHERE state = 'running') AS running,
                count(*) FILTER (WHERE state = 'failed') AS failed,
                min(run_at) FILTER (WHERE state = 'waiting' AND run_at <= $1) AS oldest_due
         FROM (
             SELECT queue, state, run_at FROM jobs WHERE state = 'waiting' AND NOT is_suspect
             UNION ALL SELECT queue, state, run_at FROM jobs WHERE state = 'waiting' AND is_suspect
             UNION ALL SELECT queue, state, run_at FROM jobs WHERE state = 'running'
             UNION ALL SELECT queue, state, run_at FROM jobs WHERE state = 'failed'
         ) AS unfinished
         GROUP BY queue ORDER BY queue",
    )
    .bind::<Timestamptz, _>(now)
    .load(conn)
    .await
}

/// What ended lately.
#[derive(Debug, Clone, QueryableByName)]
pub struct Recent {
    #[diesel(sql_type = Text)]
    pub queue: String,
    #[diesel(sql_type = BigInt)]
    pub succeeded: i64,
    #[diesel(sql_type = BigInt)]
    pub failed: i64,
    #[diesel(sql_type = BigInt)]
    pub cancelled: i64,
    /// How long they waited from when they were due to when they were taken, in milliseconds.
    #[diesel(sql_type = Nullable<Double>)]
    pub wait_p50: Option<f64>,
    #[diesel(sql_type = Nullable<Double>)]
    pub wait_p95: Option<f64>,
    /// How long they ran, in milliseconds.
    #[diesel(sql_type = Nullable<Double>)]
    pub run_p50: Option<f64>,
    #[diesel(sql_type = Nullable<Double>)]
    pub run_p95: Option<f64>,
}

/// What ended within `span`, by queue: of more than a hundred thousand jobs the latest.
///
/// # Errors
/// When the statement fails.
pub async fn recent(
    conn: &mut Conn,
    span: TimeDelta,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Recent>> {
    sql_query(
        "SELECT queue,
                count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                count(*) FILTER (WHERE state = 'failed') AS failed,
                count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
                percentile_disc(0.50) WITHIN GROUP (ORDER BY waited) AS wait_p50,
                percentile_disc(0.95) WITHIN GROUP (ORDER BY waited) AS wait_p95,
                percentile_disc(0.50) WITHIN GROUP (ORDER BY ran) AS run_p50,
                percentile_disc(0.95) WITHIN GROUP (ORDER BY ran) AS run_p95
         FROM (
             SELECT queue, state,
                    (extract(epoch FROM started_at - run_at) * 1000)::float8 AS waited,
                    (extract(epoch FROM finished_at - started_at) * 1000)::float8 AS ran
             FROM jobs WHERE finished_at > $1 ORDER BY finished_at DESC LIMIT 100000
         ) AS ended
         GROUP BY queue ORDER BY queue",
    )
    .bind::<Timestamptz, _>(now - span)
    .load(conn)
    .await
}

/// How many ended in a minute.
#[derive(Debug, Clone, QueryableByName)]
pub struct Minute {
    /// Its beginning.
    #[diesel(sql_type = Timestamptz)]
    pub minute: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    pub succeeded: i64,
    /// Given up or cancelled.
    #[diesel(sql_type = BigInt)]
    pub others: i64,
}

/// The throughput of each minute of `span` in which anything ended, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn throughput(
    conn: &mut Conn,
    span: TimeDelta,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Minute>> {
    sql_query(
        "SELECT date_trunc('minute', finished_at, 'UTC') AS minute,
                count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                count(*) FILTER (WHERE state <> 'succeeded') AS others
         FROM (
             SELECT finished_at, state FROM jobs
             WHERE finished_at > $1 ORDER BY finished_at DESC LIMIT 100000
         ) AS ended
         GROUP BY 1 ORDER BY 1",
    )
    .bind::<Timestamptz, _>(now - span)
    .load(conn)
    .await
}
