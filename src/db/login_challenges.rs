//! `user_login_challenges` and `admin_login_challenges`: sign-ins whose password was right, and which wait for the
//! second factor.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema, sessions::Account};

/// The same statement on the table of the account's realm.
macro_rules! on {
    ($account:expr, $table:ident, $owner:ident, $id:ident => $statement:expr) => {
        match $account {
            Account::User($id) => {
                use schema::user_login_challenges::{self as $table, user_id as $owner};
                $statement
            }
            Account::Admin($id) => {
                use schema::admin_login_challenges::{self as $table, admin_id as $owner};
                $statement
            }
        }
    };
}

/// A sign-in that waits for the second factor.
#[derive(Debug, Clone, Queryable)]
pub struct LoginChallenge {
    pub id: Uuid,
    /// The device, if it has signed in before.
    pub device_id: Option<Uuid>,
    pub device_name: Option<String>,
}

/// What a new row needs.
pub struct NewChallenge<'a> {
    pub id: Uuid,
    pub account: Account,
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
    on!(new.account, table, owner, id => diesel::insert_into(table::table)
        .values((
            table::id.eq(new.id),
            owner.eq(id),
            table::attempts_left.eq(new.attempts),
            table::device_id.eq(new.device_id),
            table::device_name.eq(new.device_name),
            table::expires_at.eq(new.expires_at),
            table::created_at.eq(new.now),
            table::updated_at.eq(new.now),
        ))
        .execute(conn)
        .await?);
    Ok(())
}

/// The account's challenge with this identifier, if another code may be tried, locked until the
/// transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(
    conn: &mut Conn,
    account: Account,
    challenge_id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<Option<LoginChallenge>> {
    on!(account, table, owner, id => table::table
        .find(challenge_id)
        .filter(
            owner
                .eq(id)
                .and(table::attempts_left.gt(0))
                .and(table::expires_at.gt(now)),
        )
        .select((table::id, table::device_id, table::device_name))
        .for_update()
        .first(conn)
        .await
        .optional())
}

/// Counts a wrong code.
///
/// # Errors
/// When the statement fails.
pub async fn count_attempt(
    conn: &mut Conn,
    account: Account,
    challenge_id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    on!(account, table, owner, id => {
        diesel::update(table::table.find(challenge_id).filter(owner.eq(id)))
            .set((
                table::attempts_left.eq(table::attempts_left - 1),
                table::updated_at.eq(now),
            ))
            .execute(conn)
            .await?
    });
    Ok(())
}

/// Uses a challenge up.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, account: Account, challenge_id: Uuid) -> QueryResult<()> {
    on!(account, table, owner, id => {
        let challenge = table::table.find(challenge_id).filter(owner.eq(id));
        diesel::delete(challenge).execute(conn).await?
    });
    Ok(())
}

/// Ends all sign-ins of an account that wait.
///
/// # Errors
/// When the statement fails.
pub async fn delete_all(conn: &mut Conn, account: Account) -> QueryResult<()> {
    on!(account, table, owner, id => diesel::delete(table::table.filter(owner.eq(id)))
        .execute(conn)
        .await?);
    Ok(())
}
