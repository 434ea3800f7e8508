//! `user_recovery_codes` and `admin_recovery_codes`: codes for who has lost the device of the second factor, as
//! hashes.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Conn, schema, sessions::Account};

/// The same statement on the table of the account's realm.
macro_rules! on {
    ($account:expr, $table:ident, $owner:ident, $id:ident => $statement:expr) => {
        match $account {
            Account::User($id) => {
                use schema::user_recovery_codes::{self as $table, user_id as $owner};
                $statement
            }
            Account::Admin($id) => {
                use schema::admin_recovery_codes::{self as $table, admin_id as $owner};
                $statement
            }
        }
    };
}

/// Stores codes in place of all others of the account.
///
/// # Errors
/// When a statement fails.
pub async fn replace(
    conn: &mut Conn,
    account: Account,
    hashes: Vec<Vec<u8>>,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    delete(conn, account).await?;
    on!(account, table, owner, id => {
        let row = |hash| {
            (
                owner.eq(id),
                table::code_hash.eq(hash),
                table::created_at.eq(now),
                table::updated_at.eq(now),
            )
        };
        let rows: Vec<_> = hashes.into_iter().map(row).collect();
        diesel::insert_into(table::table).values(rows).execute(conn).await?
    });
    Ok(())
}

/// Uses a code up; `false` when there is no such one.
///
/// # Errors
/// When the statement fails.
pub async fn consume(conn: &mut Conn, account: Account, hash: &[u8]) -> QueryResult<bool> {
    let used = on!(account, table, owner, id => {
        let code = table::table.filter(owner.eq(id).and(table::code_hash.eq(hash)));
        diesel::delete(code).execute(conn).await?
    });
    Ok(used == 1)
}

/// How many are left.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, account: Account) -> QueryResult<i64> {
    on!(account, table, owner, id => {
        table::table.filter(owner.eq(id)).count().get_result(conn).await
    })
}

/// Removes all of an account.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, account: Account) -> QueryResult<()> {
    on!(account, table, owner, id => diesel::delete(table::table.filter(owner.eq(id)))
        .execute(conn)
        .await?);
    Ok(())
}
