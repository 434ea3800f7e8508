//! The session of a request, as the check of it needs it.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{Array, Bool, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Conn,
    admins::AdminStatus,
    schema::{admin_sessions, admins, user_sessions, users},
    sessions::Realm,
    users::UserStatus,
};

/// A session that has not expired.
#[derive(Debug, Clone, Queryable)]
pub struct Found {
    pub account_id: Uuid,
    pub expires_at: DateTime<Utc>,
    pub is_revoked: bool,
    /// Whether its account may act at all.
    pub is_suspended: bool,
    /// Whether the account has a second factor; of users nobody has to know.
    pub has_second_factor: bool,
    /// What the account's roles give: permissions, and names of shipped roles.
    pub grants: Vec<String>,
    /// When the account last proved who it is; `None`: at the beginning.
    pub authenticated_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// By the clock of the database: what had been committed then is in it.
    pub read_at: DateTime<Utc>,
    /// When the database server was started, which tells it from others.
    pub server: DateTime<Utc>,
}

macro_rules! columns {
    ($table:ident, $is_suspended:expr, $has_factor:literal, $grants:literal) => {
        (
            $table::account_id,
            $table::expires_at,
            $table::revoked_at.is_not_null(),
            $is_suspended,
            sql::<Bool>($has_factor),
            sql::<Array<Text>>($grants),
            $table::authenticated_at,
            $table::created_at,
            // The beginning of the transaction, which comes before the moment that the statement shows.
            sql::<Timestamptz>("now()"),
            sql::<Timestamptz>("pg_postmaster_start_time()"),
        )
    };
}

/// Reads a session and the state of its account: one statement.
///
/// # Errors
/// When the statement fails.
pub async fn read(
    conn: &mut Conn,
    realm: Realm,
    id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<Option<Found>> {
    match realm {
        Realm::Client => users::table
            .inner_join(user_sessions::table.on(user_sessions::account_id.eq(users::id)))
            .filter(user_sessions::id.eq(id).and(user_sessions::expires_at.gt(now)))
            .select(columns!(
                user_sessions,
                users::status.eq(UserStatus::Suspended),
                "true",
                "'{}'::text[]"
            ))
            .first(conn)
            .await
            .optional(),
        Realm::Backoffice => admins::table
            .inner_join(admin_sessions::table.on(admin_sessions::account_id.eq(admins::id)))
            .filter(admin_sessions::id.eq(id).and(admin_sessions::expires_at.gt(now)))
            .select(columns!(
                admin_sessions,
                admins::status.ne(AdminStatus::Active),
                "EXISTS (SELECT FROM admin_totp WHERE admin_id = admins.id AND confirmed_at IS NOT NULL)",
                "ARRAY(SELECT unnest(CASE WHEN is_shipped THEN ARRAY[name] ELSE permissions END)
                       FROM roles JOIN admin_roles ON role_id = roles.id WHERE admin_id = admins.id)"
            ))
            .first(conn)
            .await
            .optional(),
    }
}
