//! `audit_seals`: sealed segments of the audit log, which form a chain; and `audit_unsealed`: what waits for that.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryableByName,
    pg::Pg,
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt, Binary, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Conn,
    audit_logs::{AuditLog, time_of},
    schema::{audit_logs, audit_seals, audit_unsealed, users},
};

/// A segment: rows that were sealed at once, or the mark of those that were dropped.
#[derive(Debug, Clone, QueryableByName, Insertable)]
#[diesel(table_name = audit_seals, check_for_backend(Pg))]
pub struct Segment {
    /// From 1, without a gap.
    pub number: i64,
    /// In the order in which they are sealed.
    #[diesel(sql_type = Array<SqlUuid>)]
    pub ids: Vec<Uuid>,
    /// Of each row a keyed digest of what may be erased.
    #[diesel(sql_type = Array<Binary>)]
    pub details: Vec<Vec<u8>>,
    /// Of each row a digest of the rest and of that one.
    #[diesel(sql_type = Array<Binary>)]
    pub leaves: Vec<Vec<u8>>,
    /// Of the newest row.
    pub last_at: Option<DateTime<Utc>>,
    /// Of a mark: rows of before were dropped.
    pub dropped_before: Option<DateTime<Utc>>,
    /// Of a mark: the last segment that was dropped with them, 0 for none.
    pub anchor_number: Option<i64>,
    pub anchor_seal: Option<Vec<u8>>,
    pub seal: Vec<u8>,
}

/// What was dropped.
#[derive(Debug, Clone, QueryableByName)]
pub struct Dropped {
    #[diesel(sql_type = Timestamptz)]
    pub dropped_before: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    pub anchor_number: i64,
    #[diesel(sql_type = Binary)]
    pub anchor_seal: Vec<u8>,
}

/// Takes up to `limit` rows that wait to be sealed, the oldest first, and keeps others from taking them.
///
/// # Errors
/// When a statement fails.
pub async fn take_unsealed(conn: &mut Conn, limit: i64) -> QueryResult<Vec<AuditLog>> {
    let waiting: Vec<Uuid> = audit_unsealed::table
        .order((audit_unsealed::created_at, audit_unsealed::id))
        .limit(limit)
        .select(audit_unsealed::id)
        .load(conn)
        .await?;
    // Another process may have taken some meanwhile.
    let ids: Vec<Uuid> = diesel::delete(audit_unsealed::table)
        .filter(audit_unsealed::id.eq_any(waiting))
        .returning(audit_unsealed::id)
        .get_results(conn)
        .await?;
    rows(conn, &ids).await
}

/// Those of these rows that are there, by time and identifier. Also one that was moved to another time, which
/// takes long to find.
///
/// # Errors
/// When a statement fails.
pub async fn rows(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<AuditLog>> {
    let times = ids.iter().filter_map(|id| time_of(*id));
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
        return Ok(Vec::new());
    };
    let among = |ids: Vec<Uuid>| {
        audit_logs::table
            .filter(audit_logs::id.eq_any(ids))
            .order((audit_logs::created_at, audit_logs::id))
            .select(AuditLog::as_select())
    };
    let end = last + TimeDelta::milliseconds(1);
    let mut found: Vec<AuditLog> = among(ids.to_vec())
        .filter(audit_logs::created_at.ge(first).and(audit_logs::created_at.lt(end)))
        .load(conn)
        .await?;
    let known: BTreeSet<Uuid> = found.iter().map(|row| row.id).collect();
    let missing: Vec<Uuid> = ids.iter().copied().filter(|id| !known.contains(id)).collect();
    if !missing.is_empty() {
        found.extend(among(missing).load::<AuditLog>(conn).await?);
        found.sort_by_key(|row| (row.created_at, row.id));
    }
    Ok(found)
}

/// Stores a segment.
///
/// # Errors
/// When the statement fails, or another process has stored one of this number.
pub async fn insert(conn: &mut Conn, segment: &Segment, now: DateTime<Utc>) -> QueryResult<()> {
    let times = (audit_seals::created_at.eq(now), audit_seals::updated_at.eq(now));
    diesel::insert_into(audit_seals::table).values((segment, times)).execute(conn).await?;
    Ok(())
}

/// Number and seal of the newest segment.
///
/// # Errors
/// When the statement fails.
pub async fn head(conn: &mut Conn) -> QueryResult<Option<(i64, Vec<u8>)>> {
    audit_seals::table
        .order(audit_seals::number.desc())
        .select((audit_seals::number, audit_seals::seal))
        .first(conn)
        .await
        .optional()
}

/// The newest mark of what was dropped.
///
/// # Errors
/// When the statement fails.
pub async fn last_mark(conn: &mut Conn) -> QueryResult<Option<Segment>> {
    let statement = "SELECT * FROM audit_seals WHERE dropped_before IS NOT NULL \
                     ORDER BY number DESC LIMIT 1";
    sql_query(statement).get_result(conn).await.optional()
}

/// The segment that comes behind this number.
///
/// # Errors
/// When the statement fails.
pub async fn next(conn: &mut Conn, number: i64) -> QueryResult<Option<Segment>> {
    sql_query("SELECT * FROM audit_seals WHERE number > $1 ORDER BY number LIMIT 1")
        .bind::<BigInt, _>(number)
        .get_result(conn)
        .await
        .optional()
}

/// Drops the partitions of months that had ended by then, with segments that have no other rows.
///
/// # Errors
/// When rows of before are not sealed, or the statement fails.
pub async fn drop_before(conn: &mut Conn, time: DateTime<Utc>) -> QueryResult<Option<Dropped>> {
    sql_query("SELECT * FROM drop_audit_partitions($1)")
        .bind::<Timestamptz, _>(time)
        .get_result(conn)
        .await
        .optional()
}

/// How many rows wait to be sealed.
///
/// # Errors
/// When the statement fails.
pub async fn count_unsealed(conn: &mut Conn) -> QueryResult<i64> {
    audit_unsealed::table.count().get_result(conn).await
}

/// Rows that are neither sealed nor wait for it, up to a limit: nobody has recorded them.
///
/// # Errors
/// When the statement fails.
pub async fn unknown(conn: &mut Conn, limit: i64) -> QueryResult<Vec<Uuid>> {
    let statement = "SELECT id FROM audit_logs WHERE id NOT IN (SELECT id FROM audit_unsealed) \
                     AND NOT EXISTS (SELECT FROM (SELECT unnest(ids) AS id FROM audit_seals) AS sealed \
                                     WHERE sealed.id = audit_logs.id) \
                     ORDER BY id LIMIT $1";
    let found: Vec<Unknown> = sql_query(statement).bind::<BigInt, _>(limit).load(conn).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct Unknown {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Rows that wait to be sealed and are not there, up to a limit.
///
/// # Errors
/// When the statement fails.
pub async fn missing_unsealed(conn: &mut Conn, limit: i64) -> QueryResult<Vec<Uuid>> {
    let there = audit_logs::table
        .filter(audit_logs::created_at.eq(audit_unsealed::created_at))
        .filter(audit_logs::id.eq(audit_unsealed::id));
    audit_unsealed::table
        .filter(diesel::dsl::not(diesel::dsl::exists(there)))
        .order(audit_unsealed::id)
        .limit(limit)
        .select(audit_unsealed::id)
        .load(conn)
        .await
}

/// Which of these users are there.
///
/// # Errors
/// When the statement fails.
pub async fn users_among(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    users::table.filter(users::id.eq_any(ids)).select(users::id).load(conn).await
}
