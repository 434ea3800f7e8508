//! `job_schedules`: which ticks have been seen to.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::{Conn, schema::job_schedules};

/// Where a schedule is.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = job_schedules, check_for_backend(Pg))]
pub struct ScheduleRow {
    pub name: String,
    pub is_enabled: bool,
    /// The last tick that has been seen to; at first when the schedule became known.
    pub last_tick: DateTime<Utc>,
    /// The job of that tick.
    pub last_job_id: Option<Uuid>,
}

/// Makes the rows of schedules that have none.
///
/// # Errors
/// When the statement fails.
pub async fn ensure(conn: &mut Conn, names: &[&str], now: DateTime<Utc>) -> QueryResult<()> {
    let rows = names.iter().map(|name| {
        (
            job_schedules::name.eq(*name),
            job_schedules::is_enabled.eq(true),
            job_schedules::last_tick.eq(now),
            job_schedules::created_at.eq(now),
            job_schedules::updated_at.eq(now),
        )
    });
    diesel::insert_into(job_schedules::table)
        .values(rows.collect::<Vec<_>>())
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// All schedules that were ever known.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut Conn) -> QueryResult<Vec<ScheduleRow>> {
    job_schedules::table
        .order(job_schedules::name)
        .select(ScheduleRow::as_select())
        .load(conn)
        .await
}

/// Sees to a tick: whether it is ours to do. Of all who try, at the same time or later, one succeeds.
///
/// # Errors
/// When the statement fails.
pub async fn tick(
    conn: &mut Conn,
    name: &str,
    before: DateTime<Utc>,
    tick: DateTime<Utc>,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let due = job_schedules::table
        .find(name)
        .filter(job_schedules::last_tick.eq(before).and(job_schedules::is_enabled));
    let taken = diesel::update(due)
        .set((job_schedules::last_tick.eq(tick), job_schedules::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(taken == 1)
}

/// Notes the job of the last tick.
///
/// # Errors
/// When the statement fails.
pub async fn set_last_job(conn: &mut Conn, name: &str, job: Option<Uuid>) -> QueryResult<()> {
    diesel::update(job_schedules::table.find(name))
        .set(job_schedules::last_job_id.eq(job))
        .execute(conn)
        .await?;
    Ok(())
}

/// Turns a schedule on or off; `None` when there is none of this name. What was missed while it was off is
/// not made up for.
///
/// # Errors
/// When the statement fails.
pub async fn set_enabled(
    conn: &mut Conn,
    name: &str,
    enabled: bool,
    now: DateTime<Utc>,
) -> QueryResult<Option<ScheduleRow>> {
    let row = job_schedules::table.find(name);
    if enabled {
        diesel::update(row.filter(job_schedules::is_enabled.eq(false)))
            .set(job_schedules::last_tick.eq(now))
            .execute(conn)
            .await?;
    }
    diesel::update(row)
        .set((job_schedules::is_enabled.eq(enabled), job_schedules::updated_at.eq(now)))
        .returning(ScheduleRow::as_returning())
        .get_result(conn)
        .await
        .optional()
}
