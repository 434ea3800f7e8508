//! `user_totp` and `admin_totp`: the secrets of second factors by time (RFC 6238), sealed.

use chrono::{DateTime, Utc};
use diesel::{prelude::*, query_dsl::methods};
use diesel_async::RunQueryDsl;

use super::{Conn, schema, sessions::Account};

/// The same statement on the table of the account's realm.
macro_rules! on {
    ($account:expr, $table:ident, $owner:ident, $id:ident => $statement:expr) => {
        match $account {
            Account::User($id) => {
                use schema::user_totp::{self as $table, user_id as $owner};
                $statement
            }
            Account::Admin($id) => {
                use schema::admin_totp::{self as $table, admin_id as $owner};
                $statement
            }
        }
    };
}

/// An account's second factor.
#[derive(Debug, Clone, Queryable)]
pub struct Totp {
    pub sealed_secret: Vec<u8>,
    /// Unset until the first right code: only then is it asked for.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When the secret was made.
    pub created_at: DateTime<Utc>,
}

/// The account's factor, confirmed or not.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, account: Account) -> QueryResult<Option<Totp>> {
    on!(account, table, owner, id => table::table
        .filter(owner.eq(id))
        .select((table::sealed_secret, table::confirmed_at, table::created_at))
        .first(conn)
        .await
        .optional())
}

/// Stores a secret that is to be confirmed, in place of another such one; `false` when one is
/// confirmed already.
///
/// # Errors
/// When the statement fails.
pub async fn begin(
    conn: &mut Conn,
    account: Account,
    sealed_secret: &[u8],
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let stored = on!(account, table, owner, id => {
        let fresh = (
            table::sealed_secret.eq(sealed_secret),
            table::created_at.eq(now),
            table::updated_at.eq(now),
        );
        let insert = diesel::insert_into(table::table)
            .values((owner.eq(id), fresh))
            .on_conflict(owner)
            .do_update()
            .set(fresh);
        methods::FilterDsl::filter(insert, table::confirmed_at.is_null()).execute(conn).await?
    });
    Ok(stored == 1)
}

/// Uses up the code of a step, and all before it; `false` when it was used already.
///
/// # Errors
/// When the statement fails.
pub async fn use_step(
    conn: &mut Conn,
    account: Account,
    step: i64,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let used = on!(account, table, owner, id => {
        let unused = table::last_step.is_null().or(table::last_step.lt(step));
        diesel::update(table::table.filter(owner.eq(id).and(unused)))
            .set((table::last_step.eq(step), table::updated_at.eq(now)))
            .execute(conn)
            .await?
    });
    Ok(used == 1)
}

/// From now on the factor is asked for.
///
/// # Errors
/// When the statement fails.
pub async fn confirm(conn: &mut Conn, account: Account, now: DateTime<Utc>) -> QueryResult<()> {
    on!(account, table, owner, id => diesel::update(table::table.filter(owner.eq(id)))
        .set((table::confirmed_at.eq(now), table::updated_at.eq(now)))
        .execute(conn)
        .await?);
    Ok(())
}

/// Removes the account's factor.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, account: Account) -> QueryResult<()> {
    on!(account, table, owner, id => diesel::delete(table::table.filter(owner.eq(id)))
        .execute(conn)
        .await?);
    Ok(())
}
