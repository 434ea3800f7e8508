//! `invitations` and `invitation_roles`: people who are to become staff.

use chrono::{DateTime, Utc};
use diesel::{dsl::sql, pg::Pg, prelude::*, sql_types::Jsonb};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Conn, contains,
    count::{self, Total},
    keyset::{Window, sortable},
    roles::RoleNames,
    schema::{invitation_roles, invitations},
    text_enum,
};

text_enum! {
    /// What became of an invitation. One that is pending may have expired.
    InvitationStatus {
        Pending = "pending",
        Accepted = "accepted",
        Revoked = "revoked",
    }
}

/// An invitation.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = invitations, check_for_backend(Pg))]
pub struct Invitation {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub status: InvitationStatus,
    pub expires_at: DateTime<Utc>,
    /// The admin, unless they are gone.
    pub invited_by: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// An invitation with the roles that it gives.
#[derive(Debug, Clone, Queryable)]
pub struct Invited {
    pub invitation: Invitation,
    pub roles: RoleNames,
}

impl std::ops::Deref for Invited {
    type Target = Invitation;

    fn deref(&self) -> &Invitation {
        &self.invitation
    }
}

/// What is read of an [`Invited`].
macro_rules! invited {
    () => {
        (
            Invitation::as_select(),
            sql::<Jsonb>(
                "(SELECT coalesce(jsonb_agg(jsonb_build_object('id', roles.id, 'name', roles.name)
                                            ORDER BY roles.name), '[]')
                  FROM roles JOIN invitation_roles ON role_id = roles.id
                  WHERE invitation_id = invitations.id)",
            ),
        )
    };
}

/// What a new row needs.
pub struct NewInvitation<'a> {
    pub id: Uuid,
    pub email: &'a str,
    pub name: &'a str,
    pub roles: &'a [Uuid],
    /// Of the token that is mailed.
    pub token_hash: &'a [u8],
    pub expires_at: DateTime<Utc>,
    pub invited_by: Option<Uuid>,
    pub now: DateTime<Utc>,
}

/// Stores an invitation; `false` when one to this address is pending, expired or not.
///
/// # Errors
/// When a statement fails.
pub async fn insert(conn: &mut Conn, new: NewInvitation<'_>) -> QueryResult<bool> {
    let stored = diesel::insert_into(invitations::table)
        .values((
            invitations::id.eq(new.id),
            invitations::email.eq(new.email),
            invitations::name.eq(new.name),
            invitations::token_hash.eq(new.token_hash),
            invitations::status.eq(InvitationStatus::Pending),
            invitations::expires_at.eq(new.expires_at),
            invitations::invited_by.eq(new.invited_by),
            invitations::created_at.eq(new.now),
            invitations::updated_at.eq(new.now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    let row = |role_id: &Uuid| {
        (
            invitation_roles::invitation_id.eq(new.id),
            invitation_roles::role_id.eq(*role_id),
            invitation_roles::created_at.eq(new.now),
            invitation_roles::updated_at.eq(new.now),
        )
    };
    if stored == 1 {
        let rows: Vec<_> = new.roles.iter().map(row).collect();
        diesel::insert_into(invitation_roles::table).values(rows).execute(conn).await?;
    }
    Ok(stored == 1)
}

/// An invitation and the roles that it gives.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Invited>> {
    invitations::table.find(id).select(invited!()).first(conn).await.optional()
}

/// Puts another token in place of a pending invitation's; `false` when it isn't pending.
///
/// # Errors
/// When the statement fails.
pub async fn renew(
    conn: &mut Conn,
    id: Uuid,
    token_hash: &[u8],
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let renewed = diesel::update(pending(id))
        .set((
            invitations::token_hash.eq(token_hash),
            invitations::expires_at.eq(expires_at),
            invitations::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(renewed == 1)
}

/// Ends a pending invitation; `false` when it isn't pending.
///
/// # Errors
/// When the statement fails.
pub async fn revoke(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<bool> {
    let status = invitations::status.eq(InvitationStatus::Revoked);
    let revoked = diesel::update(pending(id))
        .set((status, invitations::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(revoked == 1)
}

/// Uses the token of a pending invitation up; `None` when there is no such one, or it has expired.
///
/// # Errors
/// When the statement fails.
pub async fn accept(
    conn: &mut Conn,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> QueryResult<Option<Invitation>> {
    let open = invitations::status
        .eq(InvitationStatus::Pending)
        .and(invitations::expires_at.gt(now))
        .and(invitations::token_hash.eq(token_hash));
    diesel::update(invitations::table.filter(open))
        .set((invitations::status.eq(InvitationStatus::Accepted), invitations::updated_at.eq(now)))
        .returning(Invitation::as_returning())
        .get_result(conn)
        .await
        .optional()
}

#[diesel::dsl::auto_type(no_type_alias)]
fn pending(id: Uuid) -> _ {
    let is_pending: diesel::dsl::Eq<invitations::status, InvitationStatus> =
        invitations::status.eq(InvitationStatus::Pending);
    invitations::table.find(id).filter(is_pending)
}

/// The roles that an invitation gives.
///
/// # Errors
/// When the statement fails.
pub async fn roles(conn: &mut Conn, id: Uuid) -> QueryResult<Vec<Uuid>> {
    invitation_roles::table
        .filter(invitation_roles::invitation_id.eq(id))
        .select(invitation_roles::role_id)
        .load(conn)
        .await
}

sortable! {
    /// What a list of invitations can be sorted by.
    InvitationSort: Invited, invitations, "-created_at", [created_at, email, expires_at]
}

/// Which invitations to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InvitationFilter {
    /// Part of the address or of the name, in any case.
    pub search: Option<String>,
    pub status: Option<InvitationStatus>,
}

fn matching(filter: &InvitationFilter) -> invitations::BoxedQuery<'_, Pg> {
    let mut query = invitations::table.into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(invitations::status.eq(status));
    }
    if let Some(text) = &filter.search {
        let pattern = contains(text);
        query = query
            .filter(invitations::email.ilike(pattern.clone()).or(invitations::name.ilike(pattern)));
    }
    query
}

/// The query of [`count`].
#[must_use]
pub fn counted(filter: &InvitationFilter) -> invitations::BoxedQuery<'_, Pg> {
    matching(filter).limit(count::LIMIT)
}

/// How many invitations match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &InvitationFilter) -> QueryResult<Total> {
    count::count(conn, counted(filter)).await
}

/// The query of [`list`].
pub fn listed<'a>(
    filter: &'a InvitationFilter,
    window: &'a Window<InvitationSort>,
) -> invitations::BoxedQuery<'a, Pg> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The invitations in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &InvitationFilter,
    window: &Window<InvitationSort>,
) -> QueryResult<Vec<Invited>> {
    listed(filter, window).select(invited!()).load(conn).await
}
