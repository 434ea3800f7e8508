//! `user_recovery_codes`: codes for who has lost the device of the second factor, as hashes.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::user_recovery_codes as codes};

/// Stores codes in place of all others of the user.
///
/// # Errors
/// When a statement fails.
pub async fn replace(
    conn: &mut Conn,
    user_id: Uuid,
    hashes: Vec<Vec<u8>>,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    delete(conn, user_id).await?;
    let row = |hash| {
        (
            codes::user_id.eq(user_id),
            codes::code_hash.eq(hash),
            codes::created_at.eq(now),
            codes::updated_at.eq(now),
        )
    };
    let rows: Vec<_> = hashes.into_iter().map(row).collect();
    diesel::insert_into(codes::table).values(rows).execute(conn).await?;
    Ok(())
}

/// Uses a code up; `false` when there is no such one.
///
/// # Errors
/// When the statement fails.
pub async fn consume(conn: &mut Conn, user_id: Uuid, hash: &[u8]) -> QueryResult<bool> {
    Ok(diesel::delete(codes::table.find((user_id, hash))).execute(conn).await? == 1)
}

/// How many are left.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, user_id: Uuid) -> QueryResult<i64> {
    codes::table.filter(codes::user_id.eq(user_id)).count().get_result(conn).await
}

/// Removes all of a user.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, user_id: Uuid) -> QueryResult<()> {
    diesel::delete(codes::table.filter(codes::user_id.eq(user_id))).execute(conn).await?;
    Ok(())
}
