//! Rows that are of no use any more, deleted some at a time: one statement for all of them would hold its
//! locks for long.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::Conn;

/// What can be cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Codes and tokens sent by mail that have expired.
    OneTimeCodes,
    /// Sign-ins that nobody has finished.
    LoginChallenges,
    StaffLoginChallenges,
    StaffPasswordResets,
    /// Sessions that have expired, or were revoked.
    UserSessions,
    AdminSessions,
    /// Keys of requests that can't be repeated any more.
    IdempotencyKeys,
    /// Jobs that have ended.
    Jobs,
    /// Mails that have been sent or given up.
    Mails,
    Notifications,
    /// Posts that were deleted.
    Posts,
}

/// The statement, of which `$1` is the time before which a row is stale, and `$2` how many are deleted.
macro_rules! delete {
    ($table:literal, $condition:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY(ARRAY(SELECT ctid FROM ",
            $table,
            " WHERE ",
            $condition,
            " LIMIT $2 FOR UPDATE SKIP LOCKED))"
        )
    };
}

impl Stale {
    const fn statement(self) -> &'static str {
        match self {
            Self::OneTimeCodes => {
                delete!("user_one_time_codes", "expires_at < $1")
            }
            Self::LoginChallenges => delete!("user_login_challenges", "expires_at < $1"),
            Self::StaffLoginChallenges => delete!("admin_login_challenges", "expires_at < $1"),
            Self::StaffPasswordResets => delete!("admin_password_resets", "expires_at < $1"),
            Self::UserSessions => {
                delete!("user_sessions", "least(expires_at, revoked_at) < $1")
            }
            Self::AdminSessions => {
                delete!("admin_sessions", "least(expires_at, revoked_at) < $1")
            }
            Self::IdempotencyKeys => delete!("idempotency_keys", "expires_at < $1"),
            Self::Jobs => delete!("jobs", "finished_at < $1"),
            Self::Notifications => delete!("notifications", "created_at < $1"),
            Self::Posts => delete!("posts", "deleted_at < $1"),
            Self::Mails => delete!("mails", "created_at < $1 AND state <> 'pending'"),
        }
    }
}

/// Deletes up to `limit` rows that were of use before `before` for the last time, and returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn delete(
    conn: &mut Conn,
    stale: Stale,
    before: DateTime<Utc>,
    limit: i64,
) -> QueryResult<usize> {
    sql_query(stale.statement())
        .bind::<Timestamptz, _>(before)
        .bind::<BigInt, _>(limit)
        .execute(conn)
        .await
}
