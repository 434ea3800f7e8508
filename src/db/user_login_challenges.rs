//! `user_login_challenges`: sign-ins whose password was right, and which wait for the second factor.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::user_login_challenges as challenges};

/// A sign-in that waits for the second factor.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = challenges, check_for_backend(Pg))]
pub struct LoginChallenge {
    pub id: Uuid,
    pub user_id: Uuid,
    /// The device, if it has signed in before.
    pub device_id: Option<Uuid>,
    pub device_name: Option<String>,
}

/// What a new row needs.
pub struct NewChallenge<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    /// How many wrong codes it survives.
    pub attempts: i32,
    pub device_id: Option<Uuid>,
    pub device_name: Option<&'a str>,
    pub expires_at: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

/// Stores a new challenge.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewChallenge<'_>) -> QueryResult<()> {
    diesel::insert_into(challenges::table)
        .values((
            challenges::id.eq(new.id),
            challenges::user_id.eq(new.user_id),
            challenges::attempts_left.eq(new.attempts),
            challenges::device_id.eq(new.device_id),
            challenges::device_name.eq(new.device_name),
            challenges::expires_at.eq(new.expires_at),
            challenges::created_at.eq(new.now),
            challenges::updated_at.eq(new.now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The user's challenge with this identifier, if another code may be tried, locked until the
/// transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(
    conn: &mut Conn,
    user_id: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<Option<LoginChallenge>> {
    challenges::table
        .find(id)
        .filter(
            challenges::user_id
                .eq(user_id)
                .and(challenges::attempts_left.gt(0))
                .and(challenges::expires_at.gt(now)),
        )
        .select(LoginChallenge::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()
}

/// Counts a wrong code.
///
/// # Errors
/// When the statement fails.
pub async fn count_attempt(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<()> {
    diesel::update(challenges::table.find(id))
        .set((
            challenges::attempts_left.eq(challenges::attempts_left - 1),
            challenges::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Uses a challenge up.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, id: Uuid) -> QueryResult<()> {
    diesel::delete(challenges::table.find(id)).execute(conn).await?;
    Ok(())
}

/// Ends all sign-ins of a user that wait.
///
/// # Errors
/// When the statement fails.
pub async fn delete_all(conn: &mut Conn, user_id: Uuid) -> QueryResult<()> {
    diesel::delete(challenges::table.filter(challenges::user_id.eq(user_id))).execute(conn).await?;
    Ok(())
}
