//! `user_totp`: the secrets of second factors by time (RFC 6238), sealed.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*, query_dsl::methods};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::user_totp};

/// A user's second factor.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = user_totp, check_for_backend(Pg))]
pub struct Totp {
    pub sealed_secret: Vec<u8>,
    /// Unset until the first right code: only then is it asked for.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When the secret was made.
    pub created_at: DateTime<Utc>,
}

/// The user's factor, confirmed or not.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, user_id: Uuid) -> QueryResult<Option<Totp>> {
    user_totp::table.find(user_id).select(Totp::as_select()).first(conn).await.optional()
}

/// Stores a secret that is to be confirmed, in place of another such one; `false` when one is
/// confirmed already.
///
/// # Errors
/// When the statement fails.
pub async fn begin(
    conn: &mut Conn,
    user_id: Uuid,
    sealed_secret: &[u8],
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let fresh = (
        user_totp::sealed_secret.eq(sealed_secret),
        user_totp::created_at.eq(now),
        user_totp::updated_at.eq(now),
    );
    let insert = diesel::insert_into(user_totp::table)
        .values((user_totp::user_id.eq(user_id), fresh))
        .on_conflict(user_totp::user_id)
        .do_update()
        .set(fresh);
    let stored =
        methods::FilterDsl::filter(insert, user_totp::confirmed_at.is_null()).execute(conn).await?;
    Ok(stored == 1)
}

/// Uses up the code of a step, and all before it; `false` when it was used already.
///
/// # Errors
/// When the statement fails.
pub async fn use_step(
    conn: &mut Conn,
    user_id: Uuid,
    step: i64,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let unused = user_totp::last_step.is_null().or(user_totp::last_step.lt(step));
    let used = diesel::update(user_totp::table.find(user_id).filter(unused))
        .set((user_totp::last_step.eq(step), user_totp::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(used == 1)
}

/// From now on the factor is asked for.
///
/// # Errors
/// When the statement fails.
pub async fn confirm(conn: &mut Conn, user_id: Uuid, now: DateTime<Utc>) -> QueryResult<()> {
    diesel::update(user_totp::table.find(user_id))
        .set((user_totp::confirmed_at.eq(now), user_totp::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes the user's factor.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, user_id: Uuid) -> QueryResult<()> {
    diesel::delete(user_totp::table.find(user_id)).execute(conn).await?;
    Ok(())
}
