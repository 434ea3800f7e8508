//! Whether users may act.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{User, UserStatus};
use crate::db::{Conn, schema::users};

/// Another status, and why.
#[derive(Debug, Clone, Copy)]
pub struct StatusChange<'a> {
    pub status: UserStatus,
    pub reason: &'a str,
    /// When a suspension ends by itself.
    pub suspended_until: Option<DateTime<Utc>>,
    /// When the account is erased.
    pub deletion_due_at: Option<DateTime<Utc>>,
    /// The admin, if it was one.
    pub by: Option<Uuid>,
    pub now: DateTime<Utc>,
}

/// Changes the status of a user who is locked.
///
/// # Errors
/// When the statement fails.
pub async fn change_status(
    conn: &mut Conn,
    id: Uuid,
    change: StatusChange<'_>,
) -> QueryResult<User> {
    diesel::update(users::table.find(id))
        .set((
            users::status.eq(change.status),
            users::status_reason.eq(change.reason),
            users::status_changed_at.eq(change.now),
            users::status_changed_by.eq(change.by),
            users::suspended_until.eq(change.suspended_until),
            users::deletion_due_at.eq(change.deletion_due_at),
            users::updated_at.eq(change.now),
        ))
        .returning(User::as_returning())
        .get_result(conn)
        .await
}
