//! `notifications`: what users are told within the apps.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::case_when,
    pg::Pg,
    prelude::*,
    sql_types::{Nullable, Timestamptz},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Conn,
    keyset::{Window, sortable},
    schema::notifications,
};

/// Something that a user was told.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = notifications, check_for_backend(Pg))]
pub struct Notification {
    pub id: Uuid,
    /// What has happened, as `password_changed`.
    pub kind: String,
    /// More of it, by its kind.
    pub data: Value,
    pub read_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What a new row needs.
#[derive(Debug, Clone)]
pub struct NewNotification<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    pub kind: &'a str,
    pub data: Value,
    pub now: DateTime<Utc>,
}

/// Stores a notification, unless it is there already.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewNotification<'_>) -> QueryResult<()> {
    diesel::insert_into(notifications::table)
        .values((
            notifications::id.eq(new.id),
            notifications::user_id.eq(new.user_id),
            notifications::kind.eq(new.kind),
            notifications::data.eq(new.data),
            notifications::created_at.eq(new.now),
            notifications::updated_at.eq(new.now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

sortable! {
    /// What a list of notifications can be sorted by.
    NotificationSort: Notification, notifications, "-created_at", [created_at]
}

/// Which notifications to list.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct NotificationFilter {
    pub user_id: Uuid,
    /// Only those that are read, or only those that aren't.
    pub is_read: Option<bool>,
}

fn matching<'a>(filter: NotificationFilter) -> notifications::BoxedQuery<'a, Pg> {
    let query = notifications::table.filter(notifications::user_id.eq(filter.user_id)).into_boxed();
    match filter.is_read {
        None => query,
        Some(true) => query.filter(notifications::read_at.is_not_null()),
        Some(false) => query.filter(notifications::read_at.is_null()),
    }
}

/// The query of [`list`].
pub fn listed(
    filter: NotificationFilter,
    window: &Window<NotificationSort>,
) -> notifications::BoxedQuery<'_, Pg> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The notifications in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: NotificationFilter,
    window: &Window<NotificationSort>,
) -> QueryResult<Vec<Notification>> {
    listed(filter, window).select(Notification::as_select()).load(conn).await
}

/// How many a user has not read.
///
/// # Errors
/// When the statement fails.
pub async fn count_unread(conn: &mut Conn, user_id: Uuid) -> QueryResult<i64> {
    matching(NotificationFilter { user_id, is_read: Some(false) }).count().get_result(conn).await
}

/// Notes that a user has read one, of which the first time counts; `false` where they have no such.
///
/// # Errors
/// When the statement fails.
pub async fn set_read(
    conn: &mut Conn,
    user_id: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let own = notifications::table.find(id).filter(notifications::user_id.eq(user_id));
    let read_at =
        case_when(notifications::read_at.is_null(), Some(now).into_sql::<Nullable<Timestamptz>>())
            .otherwise(notifications::read_at);
    let changed = diesel::update(own)
        .set((notifications::read_at.eq(read_at), notifications::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(changed == 1)
}

/// Notes that a user has read all, and returns how many were new.
///
/// # Errors
/// When the statement fails.
pub async fn set_all_read(
    conn: &mut Conn,
    user_id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<usize> {
    let unread = notifications::user_id.eq(user_id).and(notifications::read_at.is_null());
    diesel::update(notifications::table.filter(unread))
        .set((notifications::read_at.eq(now), notifications::updated_at.eq(now)))
        .execute(conn)
        .await
}
