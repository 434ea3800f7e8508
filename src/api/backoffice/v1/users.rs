//! The users of the client API, as staff see them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    types::{Email as EmailText, Example},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, Page},
        etag::IfMatch,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::SearchText,
    },
    db::users::{User, UserFilter, UserSort, UserStatus},
    services::{
        Core,
        permissions::{UsersRead, UsersSuspend},
        users,
    },
};

/// Whether a user may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedUserStatus {
    Active,
    Suspended,
}

/// A user of the client API.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedUser {
    /// The account's identifier.
    pub id: Uuid,
    /// The address.
    pub email: EmailText,
    /// The person's name; absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// Whether the person may act.
    pub status: ManagedUserStatus,
    /// Why the status was last changed.
    #[oai(skip_serializing_if_is_none)]
    pub status_reason: Option<String>,
    /// When the status was last changed.
    #[oai(skip_serializing_if_is_none)]
    pub status_changed_at: Option<DateTime<Utc>>,
    /// The admin who changed it.
    #[oai(skip_serializing_if_is_none)]
    pub status_changed_by: Option<Uuid>,
    /// When the address was verified; absent until then.
    #[oai(skip_serializing_if_is_none)]
    pub email_verified_at: Option<DateTime<Utc>>,
    /// When the person last signed in.
    #[oai(skip_serializing_if_is_none)]
    pub last_login_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<User> for ManagedUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: EmailText(user.email),
            name: user.name,
            status: match user.status {
                UserStatus::Active => ManagedUserStatus::Active,
                UserStatus::Suspended => ManagedUserStatus::Suspended,
            },
            status_reason: user.status_reason,
            status_changed_at: user.status_changed_at,
            status_changed_by: user.status_changed_by,
            email_verified_at: user.email_verified_at,
            last_login_at: user.last_login_at,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

impl From<ManagedUserStatus> for UserStatus {
    fn from(status: ManagedUserStatus) -> Self {
        match status {
            ManagedUserStatus::Active => Self::Active,
            ManagedUserStatus::Suspended => Self::Suspended,
        }
    }
}

/// Why the status is changed.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangeUserStatusRequest {
    /// For the record; the user doesn't see it.
    #[oai(validator(min_length = 1, max_length = 1000, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"))]
    pub reason: String,
}

/// Operations on users.
pub struct UsersApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UsersApi {
    /// List users
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_users")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<UsersRead>,
        core: Data<&Arc<Core>>,
        /// Which page, from 1; not with a cursor.
        page: Query<Option<PageNumber>>,
        /// How many a page holds.
        #[oai(default)]
        per_page: Query<PageSize>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<UserSort>>,
        /// Part of the address or of the name, in any case.
        #[oai(example = "ada")]
        q: Query<Option<SearchText>>,
        /// Only users with this status.
        #[oai(example = "active")]
        status: Query<Option<ManagedUserStatus>>,
        /// Only users whose address is verified, or is not.
        #[oai(example = "verified")]
        verified: Query<Option<bool>>,
        /// Only users made at this time or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only users made before this time.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Page<ManagedUser>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = UserFilter {
            search: q.0.map(|text| text.0),
            status: status.0.map(Into::into),
            verified: verified.0,
            created_from: created_from.0,
            created_to: created_to.0,
        };
        let found = users::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a user
    ///
    /// The account as it is now.
    #[oai(path = "/:id", method = "get", operation_id = "get_user")]
    async fn get(
        &self,
        _auth: StaffAuth<UsersRead>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedUser> {
        Ok(ApiResponse::success(users::get(core.0, id.0).await?.into()))
    }

    /// Suspend a user
    ///
    /// Ends their sessions; their next request is refused.
    #[oai(path = "/:id/suspend", method = "post", operation_id = "suspend_user")]
    async fn suspend(
        &self,
        auth: StaffAuth<UsersSuspend>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<ChangeUserStatusRequest>,
    ) -> Answer<ManagedUser> {
        let expected = if_match.expected::<ManagedUser, _>();
        let user = users::suspend(core.0, &auth.origin, id.0, expected, &body.0.reason).await?;
        Ok(ApiResponse::success(user.into()))
    }

    /// Reactivate a suspended user
    ///
    /// The user may sign in again.
    #[oai(path = "/:id/reactivate", method = "post", operation_id = "reactivate_user")]
    async fn reactivate(
        &self,
        auth: StaffAuth<UsersSuspend>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<ChangeUserStatusRequest>,
    ) -> Answer<ManagedUser> {
        let expected = if_match.expected::<ManagedUser, _>();
        let user = users::reactivate(core.0, &auth.origin, id.0, expected, &body.0.reason).await?;
        Ok(ApiResponse::success(user.into()))
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn ada() -> Option<SearchText> {
    Some(SearchText("ada".to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn active() -> Option<ManagedUserStatus> {
    Some(ManagedUserStatus::Active)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn verified() -> Option<bool> {
    Some(true)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_time() -> Option<DateTime<Utc>> {
    Some(DateTime::UNIX_EPOCH)
}

impl Example for ManagedUser {
    fn example() -> Self {
        Self {
            id: an_id(),
            email: EmailText("ada@example.com".to_owned()),
            name: Some("Ada".to_owned()),
            status: ManagedUserStatus::Suspended,
            status_reason: Some("Sends spam to other users.".to_owned()),
            status_changed_at: Some(DateTime::UNIX_EPOCH),
            status_changed_by: Some(an_id()),
            email_verified_at: Some(DateTime::UNIX_EPOCH),
            last_login_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for ChangeUserStatusRequest {
    fn example() -> Self {
        Self { reason: "Sends spam to other users.".to_owned() }
    }
}
