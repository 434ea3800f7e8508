//! `admin_password_resets`: tokens by which staff choose another password, stored as hashes.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::admin_password_resets as resets};

/// Stores a token in place of an older one.
///
/// # Errors
/// When the statement fails.
pub async fn replace(
    conn: &mut Conn,
    admin_id: Uuid,
    hash: &[u8],
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let fresh = (
        resets::token_hash.eq(hash),
        resets::expires_at.eq(expires_at),
        resets::created_at.eq(now),
        resets::updated_at.eq(now),
    );
    diesel::insert_into(resets::table)
        .values((resets::admin_id.eq(admin_id), fresh))
        .on_conflict(resets::admin_id)
        .do_update()
        .set(fresh)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whose token it is.
///
/// # Errors
/// When the statement fails.
pub async fn owner(conn: &mut Conn, hash: &[u8], now: DateTime<Utc>) -> QueryResult<Option<Uuid>> {
    resets::table
        .filter(resets::token_hash.eq(hash).and(resets::expires_at.gt(now)))
        .select(resets::admin_id)
        .first(conn)
        .await
        .optional()
}

/// Uses an admin's token up; `false` when it isn't the current one, or too old.
///
/// # Errors
/// When the statement fails.
pub async fn consume(
    conn: &mut Conn,
    admin_id: Uuid,
    hash: &[u8],
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let current = resets::token_hash.eq(hash).and(resets::expires_at.gt(now));
    let used = diesel::delete(resets::table.find(admin_id).filter(current)).execute(conn).await?;
    Ok(used == 1)
}

/// Deletes the token of an admin, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, admin_id: Uuid) -> QueryResult<()> {
    diesel::delete(resets::table.find(admin_id)).execute(conn).await?;
    Ok(())
}
