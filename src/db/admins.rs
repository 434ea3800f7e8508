//! `admins`: staff of the backoffice.

use chrono::{DateTime, Utc};
use diesel::{dsl::sql, pg::Pg, prelude::*, sql_types::Jsonb};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Conn, admin_sessions, contains,
    count::{self, Total},
    keyset::{Window, sortable},
    roles::RoleNames,
    schema::{admin_roles, admins, roles},
    text_enum,
};

text_enum! {
    /// Whether a member of the staff may act.
    AdminStatus {
        Active = "active",
        Deactivated = "deactivated",
    }
}

/// A member of the staff.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = admins, check_for_backend(Pg))]
pub struct Admin {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub password_hash: String,
    pub status: AdminStatus,
    pub status_changed_at: Option<DateTime<Utc>>,
    pub last_login_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
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

/// A member of the staff with their roles.
#[derive(Debug, Clone, Queryable)]
pub struct Member {
    pub admin: Admin,
    pub roles: RoleNames,
}

impl std::ops::Deref for Member {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

/// What is read of a [`Member`].
macro_rules! member {
    () => {
        (
            Admin::as_select(),
            sql::<Jsonb>(
                "(SELECT coalesce(jsonb_agg(jsonb_build_object('id', roles.id, 'name', roles.name)
                                            ORDER BY roles.name), '[]')
                  FROM roles JOIN admin_roles ON role_id = roles.id WHERE admin_id = admins.id)",
            ),
        )
    };
}

/// All admins, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn all(conn: &mut Conn) -> QueryResult<Vec<Member>> {
    admins::table.select(member!()).order(admins::id).load(conn).await
}

/// The admin with this identifier, and their roles.
///
/// # Errors
/// When the statement fails.
pub async fn find_member(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Member>> {
    admins::table.find(id).select(member!()).first(conn).await.optional()
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

/// The admin with this identifier, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Admin>> {
    admins::table.find(id).select(Admin::as_select()).for_update().first(conn).await.optional()
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

/// Notes a sign-in.
///
/// # Errors
/// When the statement fails.
pub async fn set_last_login(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<()> {
    diesel::update(admins::table.find(id)).set(admins::last_login_at.eq(now)).execute(conn).await?;
    Ok(())
}

/// Changes the name, if one is given, and in any case notes that the admin was changed.
///
/// # Errors
/// When the statement fails.
pub async fn update(
    conn: &mut Conn,
    id: Uuid,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::update(admins::table.find(id))
        .set((name.map(|name| admins::name.eq(name)), admins::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Changes whether the admin may act; `false` when nothing changes.
///
/// # Errors
/// When the statement fails.
pub async fn set_status(
    conn: &mut Conn,
    id: Uuid,
    status: AdminStatus,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let changed = diesel::update(admins::table.find(id).filter(admins::status.ne(status)))
        .set((
            admins::status.eq(status),
            admins::status_changed_at.eq(now),
            admins::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(changed == 1)
}

/// Deletes an admin with their sessions and roles.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, id: Uuid) -> QueryResult<()> {
    diesel::delete(admins::table.find(id)).execute(conn).await?;
    Ok(())
}

/// Whether anybody who may act has this role. Who changes that does so one after another, because of the lock on
/// the role that this takes first.
///
/// # Errors
/// When a statement fails.
pub async fn lock_and_check_active_holder(conn: &mut Conn, role: &str) -> QueryResult<bool> {
    let locked = roles::table.filter(roles::name.eq(role)).select(roles::id);
    let id: Uuid = locked.for_no_key_update().first(conn).await?;
    let holders = admins::table
        .inner_join(admin_roles::table)
        .filter(admin_roles::role_id.eq(id).and(admins::status.eq(AdminStatus::Active)));
    diesel::select(diesel::dsl::exists(holders)).get_result(conn).await
}

sortable! {
    /// What a list of staff can be sorted by.
    AdminSort: Member, admins, "-created_at", [created_at, email, name, last_login_at]
}

/// Which staff to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AdminFilter {
    /// Part of the address or of the name, in any case.
    pub search: Option<String>,
    pub status: Option<AdminStatus>,
    /// The name of a role that they have.
    pub role: Option<String>,
    /// Whether they have a session that is open.
    pub online: Option<bool>,
}

fn matching(filter: &AdminFilter, now: DateTime<Utc>) -> admins::BoxedQuery<'_, Pg> {
    let mut query = admins::table.into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(admins::status.eq(status));
    }
    if let Some(text) = &filter.search {
        let pattern = contains(text);
        query = query.filter(admins::email.ilike(pattern.clone()).or(admins::name.ilike(pattern)));
    }
    if let Some(role) = &filter.role {
        let holders = admin_roles::table
            .inner_join(roles::table)
            .filter(roles::name.eq(role))
            .select(admin_roles::admin_id);
        query = query.filter(admins::id.eq_any(holders));
    }
    if let Some(online) = filter.online {
        let owners = admin_sessions::owners(now);
        query = if online {
            query.filter(admins::id.eq_any(owners))
        } else {
            query.filter(admins::id.ne_all(owners))
        };
    }
    query
}

/// The query of [`count`].
#[must_use]
pub fn counted(filter: &AdminFilter, now: DateTime<Utc>) -> admins::BoxedQuery<'_, Pg> {
    matching(filter, now).limit(count::LIMIT)
}

/// How many of the staff match.
///
/// # Errors
/// When the statement fails.
pub async fn count(
    conn: &mut Conn,
    filter: &AdminFilter,
    now: DateTime<Utc>,
) -> QueryResult<Total> {
    count::count(conn, counted(filter, now)).await
}

/// The query of [`list`].
pub fn listed<'a>(
    filter: &'a AdminFilter,
    now: DateTime<Utc>,
    window: &'a Window<AdminSort>,
) -> admins::BoxedQuery<'a, Pg> {
    matching(filter, now)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The staff in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &AdminFilter,
    now: DateTime<Utc>,
    window: &Window<AdminSort>,
) -> QueryResult<Vec<Member>> {
    listed(filter, now, window).select(member!()).load(conn).await
}
