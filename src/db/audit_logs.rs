//! `audit_logs`: what was done, by whom and to what. Rows are only ever inserted; a partition has those of a
//! month.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    pg::Pg,
    prelude::*,
    sql_query,
    sql_types::{Array, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    ActorKind, Conn, Tx,
    keyset::{Window, sortable},
    schema::audit_logs,
};

/// What was done once.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = audit_logs, check_for_backend(Pg))]
pub struct AuditLog {
    pub id: Uuid,
    pub actor_kind: ActorKind,
    pub actor_id: Option<Uuid>,
    /// The admin who acted as that user.
    pub impersonator_id: Option<Uuid>,
    pub session_id: Option<Uuid>,
    pub request_id: String,
    /// As in `user.suspended`.
    pub action: String,
    /// As in `user`.
    pub subject_kind: Option<String>,
    pub subject_id: Option<String>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub reason: Option<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// When the five before were erased, because somebody's account was.
    pub erased_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What a new row needs besides its transaction.
pub struct NewAuditLog<'a> {
    pub id: Uuid,
    pub actor_kind: ActorKind,
    pub actor_id: Option<Uuid>,
    pub session_id: Option<Uuid>,
    pub action: &'a str,
    /// Kind and id.
    pub subject: Option<(&'a str, &'a str)>,
    pub user_agent: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub before: Option<&'a Value>,
    pub after: Option<&'a Value>,
}

/// Inserts a row, and makes its partition if need be.
///
/// # Errors
/// When the statement fails.
pub async fn insert(tx: &mut Tx, new: NewAuditLog<'_>) -> QueryResult<()> {
    const STATEMENT: &str =
        "SELECT record_audit_log($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let origin = tx.origin.clone();
    sql_query(STATEMENT)
        .bind::<SqlUuid, _>(new.id)
        .bind::<Timestamptz, _>(tx.now)
        .bind::<Text, _>(new.actor_kind)
        .bind::<Nullable<SqlUuid>, _>(new.actor_id)
        .bind::<Nullable<SqlUuid>, _>(origin.impersonator_id)
        .bind::<Nullable<SqlUuid>, _>(new.session_id)
        .bind::<Text, _>(origin.request_id)
        .bind::<Text, _>(new.action)
        .bind::<Nullable<Text>, _>(new.subject.map(|(kind, _)| kind))
        .bind::<Nullable<Text>, _>(new.subject.map(|(_, id)| id))
        .bind::<Nullable<Text>, _>(origin.ip_address.map(|ip| ip.to_string()))
        .bind::<Nullable<Text>, _>(new.user_agent)
        .bind::<Nullable<Text>, _>(new.reason)
        .bind::<Nullable<Jsonb>, _>(new.before)
        .bind::<Nullable<Jsonb>, _>(new.after)
        .execute(tx)
        .await?;
    Ok(())
}

/// Makes the partition of this time, unless it is there.
///
/// # Errors
/// When the statement fails.
pub async fn make_partition(conn: &mut Conn, moment: DateTime<Utc>) -> QueryResult<()> {
    let make = sql_query("SELECT make_audit_partition($1)").bind::<Timestamptz, _>(moment);
    make.execute(conn).await?;
    Ok(())
}

/// Erases addresses, reasons and values from what these users did and what was done to them, once their
/// accounts are gone.
///
/// # Errors
/// When the statement fails.
pub async fn erase_details(conn: &mut Conn, users: &[Uuid], now: DateTime<Utc>) -> QueryResult<()> {
    sql_query("SELECT erase_audit_details($1, $2)")
        .bind::<Array<SqlUuid>, _>(users)
        .bind::<Timestamptz, _>(now)
        .execute(conn)
        .await?;
    Ok(())
}

sortable! {
    /// What the log can be sorted by.
    AuditSort: AuditLog, audit_logs, "-created_at", [created_at]
}

/// Which rows to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditFilter {
    pub actor_id: Option<Uuid>,
    pub action: Option<String>,
    /// Kind and id.
    pub subject: Option<(String, String)>,
    pub request_id: Option<String>,
    pub created_from: Option<DateTime<Utc>>,
    /// From then on no more.
    pub created_to: Option<DateTime<Utc>>,
}

fn matching(filter: &AuditFilter) -> audit_logs::BoxedQuery<'_, Pg> {
    let mut query = audit_logs::table.into_boxed();
    if let Some(id) = filter.actor_id {
        query = query.filter(audit_logs::actor_id.eq(id));
    }
    if let Some(action) = &filter.action {
        query = query.filter(audit_logs::action.eq(action));
    }
    if let Some((kind, id)) = &filter.subject {
        query = query.filter(audit_logs::subject_kind.eq(kind).and(audit_logs::subject_id.eq(id)));
    }
    if let Some(id) = &filter.request_id {
        query = query.filter(audit_logs::request_id.eq(id));
    }
    if let Some(from) = filter.created_from {
        query = query.filter(audit_logs::created_at.ge(from));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(audit_logs::created_at.lt(to));
    }
    query
}

/// How many match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &AuditFilter) -> QueryResult<i64> {
    matching(filter).count().get_result(conn).await
}

/// The query of [`list`].
pub fn listed<'a>(
    filter: &'a AuditFilter,
    window: &'a Window<AuditSort>,
) -> audit_logs::BoxedQuery<'a, Pg> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The rows in a window of the sorted log.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &AuditFilter,
    window: &Window<AuditSort>,
) -> QueryResult<Vec<AuditLog>> {
    listed(filter, window).select(AuditLog::as_select()).load(conn).await
}

/// The row with this identifier, which tells its partition.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<AuditLog>> {
    let Some(from) = time_of(id) else { return Ok(None) };
    audit_logs::table
        .filter(audit_logs::created_at.ge(from))
        .filter(audit_logs::created_at.lt(from + TimeDelta::milliseconds(1)))
        .filter(audit_logs::id.eq(id))
        .select(AuditLog::as_select())
        .first(conn)
        .await
        .optional()
}

/// The millisecond in which a row with this identifier was made; `None` where it is no `UUIDv7`.
#[must_use]
pub fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    // Its first 48 bits (RFC 9562, 5.7).
    let millis = i64::try_from(id.as_u128() >> 80).ok()?;
    DateTime::from_timestamp_millis(millis).filter(|_| id.get_version_num() == 7)
}
