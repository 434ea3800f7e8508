//! `post_likes`: who likes what.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::post_likes};

/// Notes that a user likes a post; again it changes nothing.
///
/// # Errors
/// When the statement fails.
pub async fn insert(
    conn: &mut Conn,
    post_id: Uuid,
    user_id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::insert_into(post_likes::table)
        .values((
            post_likes::post_id.eq(post_id),
            post_likes::user_id.eq(user_id),
            post_likes::created_at.eq(now),
            post_likes::updated_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that a user doesn't like a post any more; again it changes nothing.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, post_id: Uuid, user_id: Uuid) -> QueryResult<()> {
    diesel::delete(post_likes::table.find((post_id, user_id))).execute(conn).await?;
    Ok(())
}
