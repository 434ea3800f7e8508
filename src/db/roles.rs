//! `roles` and `admin_roles`: what staff may do, and who.

use chrono::{DateTime, Utc};
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    pg::{Pg, PgValue},
    prelude::*,
    result::{DatabaseErrorKind, Error},
    sql_types::Jsonb,
};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Conn, contains,
    count::{self, Total},
    keyset::{Window, sortable},
    schema::{admin_roles, roles},
    texts::Texts,
};

/// What somebody may do, by a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Queryable, Selectable)]
#[diesel(table_name = roles, check_for_backend(Pg))]
pub struct Role {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    /// Empty for a shipped role: the program knows them.
    #[diesel(deserialize_as = Texts)]
    pub permissions: Vec<String>,
    pub is_shipped: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The names of roles, as they stand beside who has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleName {
    pub id: Uuid,
    pub name: String,
}

/// Read from an array of JSON.
#[derive(Debug, Clone, PartialEq, Eq, FromSqlRow)]
pub struct RoleNames(pub Vec<RoleName>);

impl FromSql<Jsonb, Pg> for RoleNames {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let json = <serde_json::Value as FromSql<Jsonb, Pg>>::from_sql(value)?;
        Ok(Self(serde_json::from_value(json)?))
    }
}

/// What staff decide about a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    pub description: String,
    pub permissions: Vec<&'static str>,
}

/// Stores a new role; `None`, and of the transaction no more use, when the name is taken.
///
/// # Errors
/// When the statement fails.
pub async fn insert(
    conn: &mut Conn,
    id: Uuid,
    new: &Definition,
    now: DateTime<Utc>,
) -> QueryResult<Option<Role>> {
    let stored = diesel::insert_into(roles::table)
        .values((
            roles::id.eq(id),
            roles::name.eq(&new.name),
            roles::description.eq(&new.description),
            roles::permissions.eq(&new.permissions),
            roles::is_shipped.eq(false),
            roles::created_at.eq(now),
            roles::updated_at.eq(now),
        ))
        .returning(Role::as_returning())
        .get_result(conn)
        .await;
    unless_taken(stored)
}

/// Changes a role; `None`, and of the transaction no more use, when the name is taken.
///
/// # Errors
/// When the statement fails.
pub async fn update(
    conn: &mut Conn,
    id: Uuid,
    new: &Definition,
    now: DateTime<Utc>,
) -> QueryResult<Option<Role>> {
    let stored = diesel::update(roles::table.find(id))
        .set((
            roles::name.eq(&new.name),
            roles::description.eq(&new.description),
            roles::permissions.eq(&new.permissions),
            roles::updated_at.eq(now),
        ))
        .returning(Role::as_returning())
        .get_result(conn)
        .await;
    unless_taken(stored)
}

fn unless_taken(stored: QueryResult<Role>) -> QueryResult<Option<Role>> {
    match stored {
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(None),
        stored => stored.map(Some),
    }
}

/// Deletes a role that nobody has.
///
/// # Errors
/// When the statement fails, as it does when somebody has it.
pub async fn delete(conn: &mut Conn, id: Uuid) -> QueryResult<()> {
    diesel::delete(roles::table.find(id)).execute(conn).await?;
    Ok(())
}

/// The role with this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Role>> {
    roles::table.find(id).select(Role::as_select()).first(conn).await.optional()
}

/// Those with these identifiers, which stay until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn find_all(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<Role>> {
    roles::table
        .filter(roles::id.eq_any(ids))
        .select(Role::as_select())
        .for_key_share()
        .load(conn)
        .await
}

/// The same, locked until the transaction ends: nobody is given the role meanwhile.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Role>> {
    roles::table.find(id).select(Role::as_select()).for_update().first(conn).await.optional()
}

/// The shipped role of this name.
///
/// # Errors
/// When the statement fails.
pub async fn shipped(conn: &mut Conn, name: &str) -> QueryResult<Role> {
    roles::table
        .filter(roles::name.eq(name).and(roles::is_shipped))
        .select(Role::as_select())
        .first(conn)
        .await
}

/// Who has a role.
///
/// # Errors
/// When the statement fails.
pub async fn holders(conn: &mut Conn, id: Uuid) -> QueryResult<Vec<Uuid>> {
    admin_roles::table
        .filter(admin_roles::role_id.eq(id))
        .select(admin_roles::admin_id)
        .order(admin_roles::admin_id)
        .load(conn)
        .await
}

/// The roles of these admins, by name, each with whose it is.
///
/// # Errors
/// When the statement fails.
pub async fn of_admins(conn: &mut Conn, admins: &[Uuid]) -> QueryResult<Vec<(Uuid, Role)>> {
    admin_roles::table
        .inner_join(roles::table)
        .filter(admin_roles::admin_id.eq_any(admins))
        .select((admin_roles::admin_id, Role::as_select()))
        .order((admin_roles::admin_id, roles::name))
        .load(conn)
        .await
}

/// Gives an admin roles that they don't have yet.
///
/// # Errors
/// When the statement fails, as it does when a role is gone.
pub async fn give(
    conn: &mut Conn,
    admin_id: Uuid,
    roles: &[Uuid],
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let row = |role_id: &Uuid| {
        (
            admin_roles::admin_id.eq(admin_id),
            admin_roles::role_id.eq(*role_id),
            admin_roles::created_at.eq(now),
            admin_roles::updated_at.eq(now),
        )
    };
    let rows: Vec<_> = roles.iter().map(row).collect();
    diesel::insert_into(admin_roles::table).values(rows).execute(conn).await?;
    Ok(())
}

/// Takes roles from an admin.
///
/// # Errors
/// When the statement fails.
pub async fn take(conn: &mut Conn, admin_id: Uuid, roles: &[Uuid]) -> QueryResult<()> {
    let taken = admin_roles::admin_id.eq(admin_id).and(admin_roles::role_id.eq_any(roles));
    diesel::delete(admin_roles::table.filter(taken)).execute(conn).await?;
    Ok(())
}

sortable! {
    /// What a list of roles can be sorted by.
    RoleSort: Role, roles, "name", [name, created_at]
}

/// Which roles to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RoleFilter {
    /// Part of the name or of the description, in any case.
    pub search: Option<String>,
}

fn matching(filter: &RoleFilter) -> roles::BoxedQuery<'_, Pg> {
    let mut query = roles::table.into_boxed();
    if let Some(text) = &filter.search {
        let pattern = contains(text);
        query =
            query.filter(roles::name.ilike(pattern.clone()).or(roles::description.ilike(pattern)));
    }
    query
}

/// How many roles match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &RoleFilter) -> QueryResult<Total> {
    count::count(conn, matching(filter).limit(count::LIMIT)).await
}

/// The roles in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &RoleFilter,
    window: &Window<RoleSort>,
) -> QueryResult<Vec<Role>> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(Role::as_select())
        .load(conn)
        .await
}
