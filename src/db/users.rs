//! `users`: people who use the client API.

mod lists;
mod status;

use chrono::{DateTime, Utc};
use diesel::{
    pg::Pg,
    prelude::*,
    result::{DatabaseErrorKind, Error},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::users, text_enum};

pub use lists::{UserFilter, UserSort, count, counted, list, listed};
pub use status::{StatusChange, change_status};

text_enum! {
    /// Whether a user may act.
    UserStatus {
        Active = "active",
        Suspended = "suspended",
        /// Restored by staff, or erased when `deletion_due_at` has come.
        Deleted = "deleted",
    }
}

/// A user of the client API.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(Pg))]
pub struct User {
    pub id: Uuid,
    pub email: String,
    pub name: Option<String>,
    pub password_hash: String,
    pub email_verified_at: Option<DateTime<Utc>>,
    pub status: UserStatus,
    pub status_reason: Option<String>,
    pub status_changed_at: Option<DateTime<Utc>>,
    pub status_changed_by: Option<Uuid>,
    pub last_login_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The language that the user reads (BCP 47).
    pub locale: Option<String>,
    /// By whose clock the user lives (IANA).
    pub time_zone: Option<String>,
    /// When the account is erased, unless the user thinks better of it.
    pub deletion_due_at: Option<DateTime<Utc>>,
    /// The password is too short to be the only factor.
    pub password_needs_factor: bool,
    pub has_second_factor: bool,
    /// When a suspended user is reactivated; `None`: when somebody does it.
    pub suspended_until: Option<DateTime<Utc>>,
    /// A file that is the user's picture.
    pub avatar_id: Option<Uuid>,
}

/// What a new row needs.
pub struct NewUser<'a> {
    pub id: Uuid,
    pub email: &'a str,
    pub name: Option<&'a str>,
    pub locale: Option<&'a str>,
    pub password_hash: &'a str,
    pub now: DateTime<Utc>,
}

/// Stores a new, unverified user; `None` when the address is taken.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewUser<'_>) -> QueryResult<Option<User>> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(new.id),
            users::email.eq(new.email),
            users::name.eq(new.name),
            users::locale.eq(new.locale),
            users::password_hash.eq(new.password_hash),
            users::status.eq(UserStatus::Active),
            users::created_at.eq(new.now),
            users::updated_at.eq(new.now),
        ))
        .on_conflict(users::email)
        .do_nothing()
        .returning(User::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// A user for demonstrations, with a past.
#[derive(Debug, Insertable)]
#[diesel(table_name = users, check_for_backend(Pg))]
pub struct DemoUser<'a> {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub password_hash: &'a str,
    pub email_verified_at: Option<DateTime<Utc>>,
    pub status: UserStatus,
    pub status_reason: Option<&'static str>,
    pub status_changed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Stores those whose address is free, and returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn insert_demo(conn: &mut Conn, new: Vec<DemoUser<'_>>) -> QueryResult<usize> {
    diesel::insert_into(users::table).values(new).on_conflict_do_nothing().execute(conn).await
}

/// The user with this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<User>> {
    users::table.find(id).select(User::as_select()).first(conn).await.optional()
}

/// The same, locked until the transaction ends, so that what was read stays true.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut Conn, id: Uuid) -> QueryResult<Option<User>> {
    users::table.find(id).select(User::as_select()).for_update().first(conn).await.optional()
}

/// The user with this address, in lower case.
///
/// # Errors
/// When the statement fails.
pub async fn find_by_email(conn: &mut Conn, email: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email.eq(email))
        .select(User::as_select())
        .first(conn)
        .await
        .optional()
}

/// Locks the user until the transaction ends, so that what was read stays true.
///
/// # Errors
/// When the statement fails.
pub async fn lock_by_email(conn: &mut Conn, email: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email.eq(email))
        .select(User::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()
}

/// A repeated registration of an address that nobody has verified yet: the last one counts.
///
/// # Errors
/// When the statement fails.
pub async fn replace_unverified(conn: &mut Conn, id: Uuid, new: NewUser<'_>) -> QueryResult<User> {
    diesel::update(users::table.find(id).filter(users::email_verified_at.is_null()))
        .set((
            users::name.eq(new.name),
            users::locale.eq(new.locale),
            users::password_hash.eq(new.password_hash),
            users::updated_at.eq(new.now),
        ))
        .returning(User::as_returning())
        .get_result(conn)
        .await
}

/// Marks the address as verified; the time of the first verification stays.
///
/// # Errors
/// When the statement fails.
pub async fn set_email_verified(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<()> {
    diesel::update(users::table.find(id).filter(users::email_verified_at.is_null()))
        .set((users::email_verified_at.eq(now), users::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Replaces the password; `needs_factor` where it is too short to be the only factor.
///
/// # Errors
/// When the statement fails.
pub async fn set_password(
    conn: &mut Conn,
    id: Uuid,
    password_hash: &str,
    needs_factor: bool,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((
            users::password_hash.eq(password_hash),
            users::password_needs_factor.eq(needs_factor),
            users::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives the user another address, which is verified; `false`, and of the transaction no more use, when
/// another user has it.
///
/// # Errors
/// When the statement fails.
pub async fn set_email(
    conn: &mut Conn,
    id: Uuid,
    email: &str,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let changed = diesel::update(users::table.find(id))
        .set((users::email.eq(email), users::email_verified_at.eq(now), users::updated_at.eq(now)))
        .execute(conn)
        .await;
    match changed {
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(false),
        changed => Ok(changed? == 1),
    }
}

/// The user wants to be deleted then, or no more.
///
/// # Errors
/// When the statement fails.
pub async fn set_deletion_due(
    conn: &mut Conn,
    id: Uuid,
    due_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> QueryResult<User> {
    diesel::update(users::table.find(id))
        .set((users::deletion_due_at.eq(due_at), users::updated_at.eq(now)))
        .returning(User::as_returning())
        .get_result(conn)
        .await
}

/// Up to `limit` users who are to be deleted by now.
///
/// # Errors
/// When the statement fails.
pub async fn due_for_deletion(
    conn: &mut Conn,
    now: DateTime<Utc>,
    limit: i64,
) -> QueryResult<Vec<Uuid>> {
    users::table
        .filter(users::deletion_due_at.le(now))
        .order_by(users::deletion_due_at)
        .limit(limit)
        .select(users::id)
        .load(conn)
        .await
}

/// Deletes a user whose address nobody has verified, with all that is theirs.
///
/// # Errors
/// When the statement fails.
pub async fn delete_unverified(conn: &mut Conn, id: Uuid) -> QueryResult<()> {
    let unverified = users::table.find(id).filter(users::email_verified_at.is_null());
    diesel::delete(unverified).execute(conn).await?;
    Ok(())
}

/// Deletes a user with all that is theirs alone.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, id: Uuid) -> QueryResult<usize> {
    diesel::delete(users::table.find(id)).execute(conn).await
}

/// Stores the same password hashed anew.
///
/// # Errors
/// When the statement fails.
pub async fn renew_hash(conn: &mut Conn, id: Uuid, password_hash: &str) -> QueryResult<()> {
    let renewed = users::password_hash.eq(password_hash);
    diesel::update(users::table.find(id)).set(renewed).execute(conn).await?;
    Ok(())
}

/// Notes a sign-in.
///
/// # Errors
/// When the statement fails.
pub async fn set_last_login(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::last_login_at.eq(now)).execute(conn).await?;
    Ok(())
}

/// Changes to a profile: `None` leaves a column alone, `Some(None)` clears it.
#[derive(Debug, Default, AsChangeset)]
#[diesel(table_name = users)]
pub struct ProfileChanges {
    pub name: Option<Option<String>>,
    pub locale: Option<Option<String>>,
    pub time_zone: Option<Option<String>>,
}

/// Changes what users may change themselves.
///
/// # Errors
/// When the statement fails.
pub async fn update_profile(
    conn: &mut Conn,
    id: Uuid,
    changes: ProfileChanges,
    now: DateTime<Utc>,
) -> QueryResult<User> {
    diesel::update(users::table.find(id))
        .set((changes, users::updated_at.eq(now)))
        .returning(User::as_returning())
        .get_result(conn)
        .await
}

/// Gives a user another picture, or none.
///
/// # Errors
/// When the statement fails.
pub async fn set_avatar(
    conn: &mut Conn,
    id: Uuid,
    avatar_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> QueryResult<User> {
    diesel::update(users::table.find(id))
        .set((users::avatar_id.eq(avatar_id), users::updated_at.eq(now)))
        .returning(User::as_returning())
        .get_result(conn)
        .await
}
