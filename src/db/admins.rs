//! `admins`: staff of the backoffice.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::admins};

/// A member of the staff.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = admins, check_for_backend(Pg))]
pub struct Admin {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub password_hash: String,
    pub last_login_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What a new row needs.
pub struct NewAdmin<'a> {
    pub id: Uuid,
    pub email: &'a str,
    pub name: &'a str,
    pub password_hash: &'a str,
    pub now: DateTime<Utc>,
}

/// Stores a new admin; `None` when the address is taken.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewAdmin<'_>) -> QueryResult<Option<Admin>> {
    diesel::insert_into(admins::table)
        .values((
            admins::id.eq(new.id),
            admins::email.eq(new.email),
            admins::name.eq(new.name),
            admins::password_hash.eq(new.password_hash),
            admins::created_at.eq(new.now),
            admins::updated_at.eq(new.now),
        ))
        .on_conflict(admins::email)
        .do_nothing()
        .returning(Admin::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// Tells whether there is any, and keeps others from adding one until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn lock_and_check_empty(conn: &mut Conn) -> QueryResult<bool> {
    diesel::sql_query("LOCK TABLE admins IN SHARE ROW EXCLUSIVE MODE").execute(conn).await?;
    diesel::select(diesel::dsl::not(diesel::dsl::exists(admins::table.select(admins::id))))
        .get_result(conn)
        .await
}

/// All admins, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut Conn) -> QueryResult<Vec<Admin>> {
    admins::table.select(Admin::as_select()).order(admins::id).load(conn).await
}

/// The admin with this address, in lower case.
///
/// # Errors
/// When the statement fails.
pub async fn find_by_email(conn: &mut Conn, email: &str) -> QueryResult<Option<Admin>> {
    admins::table
        .filter(admins::email.eq(email))
        .select(Admin::as_select())
        .first(conn)
        .await
        .optional()
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock_by_email(conn: &mut Conn, email: &str) -> QueryResult<Option<Admin>> {
    admins::table
        .filter(admins::email.eq(email))
        .select(Admin::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()
}

/// The admin with this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Admin>> {
    admins::table.find(id).select(Admin::as_select()).first(conn).await.optional()
}

/// Replaces the password of `old_hash`; `false` when that is not theirs any more.
///
/// # Errors
/// When the statement fails.
pub async fn replace_password(
    conn: &mut Conn,
    id: Uuid,
    old_hash: &str,
    new_hash: &str,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let updated = diesel::update(admins::table.find(id))
        .filter(admins::password_hash.eq(old_hash))
        .set((admins::password_hash.eq(new_hash), admins::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(updated == 1)
}

/// Stores the same password hashed anew.
///
/// # Errors
/// When the statement fails.
pub async fn renew_hash(conn: &mut Conn, id: Uuid, password_hash: &str) -> QueryResult<()> {
    let renewed = admins::password_hash.eq(password_hash);
    diesel::update(admins::table.find(id)).set(renewed).execute(conn).await?;
    Ok(())
}

/// Notes a sign-in with the password of `password_hash`; `false` when it is not theirs any more.
///
/// # Errors
/// When the statement fails.
pub async fn set_last_login(
    conn: &mut Conn,
    id: Uuid,
    password_hash: &str,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let updated = diesel::update(admins::table.find(id))
        .filter(admins::password_hash.eq(password_hash))
        .set(admins::last_login_at.eq(now))
        .execute(conn)
        .await?;
    Ok(updated == 1)
}
