//! Staff, as other staff see them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    types::{Email as EmailText, Example},
};
use uuid::Uuid;

use super::{Tag, roles::RoleName};
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, NoContent, Page},
        error::ApiError,
        etag::IfMatch,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::SearchText,
    },
    db::admins::{AdminFilter, AdminSort, AdminStatus, Member},
    services::{
        Core,
        permissions::{AdminsDelete, AdminsRead, AdminsUpdate},
        staff_accounts::{self, Changes},
    },
};

/// Whether a member of the staff may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedAdminStatus {
    Active,
    Deactivated,
}

/// A member of the staff.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedAdmin {
    /// The account's identifier.
    pub id: Uuid,
    /// The address, which is also the name to sign in with.
    pub email: EmailText,
    /// The person's name.
    pub name: String,
    /// Whether the person may act.
    pub status: ManagedAdminStatus,
    /// When the status was last changed.
    #[oai(skip_serializing_if_is_none)]
    pub status_changed_at: Option<DateTime<Utc>>,
    /// The person's roles, by name.
    pub roles: Vec<RoleName>,
    /// When the person last signed in.
    #[oai(skip_serializing_if_is_none)]
    pub last_login_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<Member> for ManagedAdmin {
    fn from(Member { admin, roles }: Member) -> Self {
        Self {
            id: admin.id,
            email: EmailText(admin.email),
            name: admin.name,
            status: match admin.status {
                AdminStatus::Active => ManagedAdminStatus::Active,
                AdminStatus::Deactivated => ManagedAdminStatus::Deactivated,
            },
            status_changed_at: admin.status_changed_at,
            roles: roles.0.into_iter().map(Into::into).collect(),
            last_login_at: admin.last_login_at,
            created_at: admin.created_at,
            updated_at: admin.updated_at,
        }
    }
}

impl From<ManagedAdminStatus> for AdminStatus {
    fn from(status: ManagedAdminStatus) -> Self {
        match status {
            ManagedAdminStatus::Active => Self::Active,
            ManagedAdminStatus::Deactivated => Self::Deactivated,
        }
    }
}

/// What is to change; what is absent stays.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateAdminRequest {
    /// The person's name.
    #[oai(validator(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
    ))]
    pub name: Option<String>,
    /// The identifiers of all roles that the person is to have: none that give what you may not do yourself.
    #[oai(validator(max_items = 100))]
    pub role_ids: Option<Vec<Uuid>>,
}

/// Operations on staff.
pub struct AdminsApi;

#[OpenApi(prefix_path = "/admins", tag = "Tag::Staff")]
impl AdminsApi {
    /// List staff
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_admins")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<AdminsRead>,
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
        sort: Query<SortText<AdminSort>>,
        /// Part of the address or of the name, in any case.
        #[oai(example = "ada")]
        q: Query<Option<SearchText>>,
        /// Only staff with this status.
        #[oai(example = "active")]
        status: Query<Option<ManagedAdminStatus>>,
        /// Only staff who have the role of this name.
        #[oai(example = "support")]
        role: Query<Option<SearchText>>,
        /// Only staff who have, or have not, a session that is open.
        #[oai(example = "online")]
        online: Query<Option<bool>>,
    ) -> Answer<Page<ManagedAdmin>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = AdminFilter {
            search: q.0.map(|text| text.0),
            status: status.0.map(Into::into),
            role: role.0.map(|text| text.0),
            online: online.0,
        };
        let found = staff_accounts::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a member of the staff
    ///
    /// The account as it is now.
    #[oai(path = "/:id", method = "get", operation_id = "get_admin")]
    async fn get(
        &self,
        _auth: StaffAuth<AdminsRead>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedAdmin> {
        Ok(ApiResponse::success(staff_accounts::get(core.0, id.0).await?.into()))
    }

    /// Change a member of the staff
    ///
    /// Roles count from the next request on. Nobody changes their own, or anything of who may do more.
    #[oai(path = "/:id", method = "patch", operation_id = "update_admin")]
    async fn update(
        &self,
        auth: RecentStaffAuth<AdminsUpdate>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<UpdateAdminRequest>,
    ) -> Answer<ManagedAdmin> {
        let expected = if_match.expected::<ManagedAdmin, _>();
        let changes = Changes { name: body.0.name, roles: body.0.role_ids };
        let (origin, own) = (&auth.origin, auth.permissions);
        let member = staff_accounts::update(core.0, origin, own, id.0, expected, changes).await?;
        Ok(ApiResponse::success(member.into()))
    }

    /// Deactivate a member of the staff
    ///
    /// Ends their sessions; their next request is refused.
    #[oai(path = "/:id/deactivate", method = "post", operation_id = "deactivate_admin")]
    async fn deactivate(
        &self,
        auth: RecentStaffAuth<AdminsUpdate>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Answer<ManagedAdmin> {
        let (expected, own) = (if_match.expected::<ManagedAdmin, _>(), auth.permissions);
        let to = AdminStatus::Deactivated;
        let member =
            staff_accounts::set_status(core.0, &auth.origin, own, id.0, expected, to).await?;
        Ok(ApiResponse::success(member.into()))
    }

    /// Reactivate a member of the staff
    ///
    /// They may sign in again.
    #[oai(path = "/:id/reactivate", method = "post", operation_id = "reactivate_admin")]
    async fn reactivate(
        &self,
        auth: RecentStaffAuth<AdminsUpdate>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Answer<ManagedAdmin> {
        let (expected, own) = (if_match.expected::<ManagedAdmin, _>(), auth.permissions);
        let to = AdminStatus::Active;
        let member =
            staff_accounts::set_status(core.0, &auth.origin, own, id.0, expected, to).await?;
        Ok(ApiResponse::success(member.into()))
    }

    /// Delete a member of the staff
    ///
    /// With their sessions; what they did stays in the record.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_admin")]
    async fn delete(
        &self,
        auth: RecentStaffAuth<AdminsDelete>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Result<NoContent, ApiError> {
        let expected = if_match.expected::<ManagedAdmin, _>();
        staff_accounts::delete(core.0, &auth.origin, auth.permissions, id.0, expected).await?;
        Ok(NoContent::Done)
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
fn support() -> Option<SearchText> {
    Some(SearchText("support".to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn online() -> Option<bool> {
    Some(true)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn active() -> Option<ManagedAdminStatus> {
    Some(ManagedAdminStatus::Active)
}

impl Example for ManagedAdmin {
    fn example() -> Self {
        Self {
            id: an_id(),
            email: EmailText("grace@example.com".to_owned()),
            name: "Grace".to_owned(),
            status: ManagedAdminStatus::Active,
            status_changed_at: Some(DateTime::UNIX_EPOCH),
            roles: vec![RoleName::example()],
            last_login_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for UpdateAdminRequest {
    fn example() -> Self {
        Self { name: Some("Grace".to_owned()), role_ids: Some(vec![RoleName::example().id]) }
    }
}
