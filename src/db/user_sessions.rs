//! `user_sessions` as their user sees them. What both realms do with sessions is in `sessions.rs`.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Conn,
    keyset::{Window, sortable},
    schema::user_sessions,
};

/// A session as its user sees it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = user_sessions, check_for_backend(Pg))]
pub struct UserSession {
    pub id: Uuid,
    /// What the app calls the device.
    pub device_name: Option<String>,
    /// As of the last sign-in or refresh, like the address.
    pub user_agent: Option<String>,
    pub ip_address: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed.
    pub refresh_issued_at: DateTime<Utc>,
    /// When it ends unless it is refreshed.
    pub refresh_expires_at: DateTime<Utc>,
    /// When it ends in any case.
    pub expires_at: DateTime<Utc>,
}

sortable! {
    /// What a list of sessions can be sorted by.
    UserSessionSort: UserSession, user_sessions, "-created_at", [created_at]
}

/// Whose sessions to list.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct UserSessionFilter {
    pub account_id: Uuid,
}

/// The query of [`list`].
pub fn listed(
    filter: UserSessionFilter,
    now: DateTime<Utc>,
    window: &Window<UserSessionSort>,
) -> user_sessions::BoxedQuery<'_, Pg> {
    open(now)
        .filter(user_sessions::account_id.eq(filter.account_id))
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

fn open<'a>(now: DateTime<Utc>) -> user_sessions::BoxedQuery<'a, Pg> {
    user_sessions::table
        .filter(
            user_sessions::revoked_at
                .is_null()
                .and(user_sessions::expires_at.gt(now))
                .and(user_sessions::refresh_expires_at.gt(now)),
        )
        .into_boxed()
}

/// The open sessions of an account in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: UserSessionFilter,
    now: DateTime<Utc>,
    window: &Window<UserSessionSort>,
) -> QueryResult<Vec<UserSession>> {
    listed(filter, now, window).select(UserSession::as_select()).load(conn).await
}

/// A session of the account, whether or not it has ended.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, account_id: Uuid, id: Uuid) -> QueryResult<Option<UserSession>> {
    user_sessions::table
        .find(id)
        .filter(user_sessions::account_id.eq(account_id))
        .select(UserSession::as_select())
        .first(conn)
        .await
        .optional()
}

/// Whether this is an open session of the account.
///
/// # Errors
/// When the statement fails.
pub async fn is_open(
    conn: &mut Conn,
    account_id: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let found = open(now)
        .filter(user_sessions::id.eq(id).and(user_sessions::account_id.eq(account_id)))
        .select(user_sessions::id)
        .first::<Uuid>(conn)
        .await
        .optional()?;
    Ok(found.is_some())
}
