//! What staff may do: the catalogue of permissions, and roles, which give some of them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Example,
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, NoContent, Page},
        error::ApiError,
        etag::IfMatch,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::{PermissionName, SearchText},
    },
    db::{
        self,
        roles::{Definition, Role, RoleFilter, RoleSort},
    },
    services::{
        Core,
        permissions::{Permission, Permissions, RolesRead, RolesWrite},
        roles,
    },
};

/// Something that staff may be allowed to do.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ListedPermission {
    /// As roles and operations name it.
    pub name: PermissionName,
    /// What it is good for.
    pub description: String,
}

/// Everything that staff may be allowed to do.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PermissionCatalogue {
    /// Each permission.
    pub items: Vec<ListedPermission>,
}

/// A role by its name.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RoleName {
    /// The role's identifier.
    pub id: Uuid,
    /// The role's name.
    pub name: String,
}

impl From<db::roles::RoleName> for RoleName {
    fn from(role: db::roles::RoleName) -> Self {
        Self { id: role.id, name: role.name }
    }
}

/// A role, which gives permissions to who has it.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedRole {
    /// The role's identifier.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it gives.
    pub permissions: Vec<PermissionName>,
    /// Whether it came with the product, and can't be changed.
    pub is_shipped: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<Role> for ManagedRole {
    fn from(role: Role) -> Self {
        let permissions = Permissions::of_role(&role).list();
        Self {
            permissions: permissions.into_iter().map(PermissionName).collect(),
            id: role.id,
            name: role.name,
            description: role.description,
            is_shipped: role.is_shipped,
            created_at: role.created_at,
            updated_at: role.updated_at,
        }
    }
}

/// What a role is to be.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RoleRequest {
    /// Its name: small letters, digits and hyphens.
    #[oai(validator(max_length = 50, pattern = "^[a-z][a-z0-9-]*$"))]
    pub name: String,
    /// What it is for.
    #[oai(validator(max_length = 500, pattern = r"^[^\x00]*$"))]
    pub description: String,
    /// What it gives: nothing that you may not do yourself.
    #[oai(validator(max_items = 100))]
    pub permissions: Vec<PermissionName>,
}

impl From<RoleRequest> for Definition {
    fn from(request: RoleRequest) -> Self {
        let named: Vec<Permission> = request.permissions.iter().map(|name| name.0).collect();
        let permissions = Permissions::of(&named).texts();
        Self { name: request.name, description: request.description, permissions }
    }
}

/// Operations on roles.
pub struct RolesApi;

#[OpenApi(tag = "Tag::Roles")]
impl RolesApi {
    /// List all permissions
    ///
    /// The catalogue, in its order.
    #[oai(path = "/permissions", method = "get", operation_id = "list_permissions")]
    async fn permissions(&self, _auth: StaffAuth<RolesRead>) -> Answer<PermissionCatalogue> {
        let listed = |permission: &Permission| ListedPermission {
            name: PermissionName(*permission),
            description: permission.description().to_owned(),
        };
        let items = Permission::ALL.iter().map(listed).collect();
        Ok(ApiResponse::success(PermissionCatalogue { items }))
    }

    /// List roles
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/roles", method = "get", operation_id = "list_roles")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<RolesRead>,
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
        sort: Query<SortText<RoleSort>>,
        /// Part of the name or of the description, in any case.
        #[oai(example = "support")]
        q: Query<Option<SearchText>>,
    ) -> Answer<Page<ManagedRole>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = RoleFilter { search: q.0.map(|text| text.0) };
        let found = roles::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a role
    ///
    /// The role as it is now.
    #[oai(path = "/roles/:id", method = "get", operation_id = "get_role")]
    async fn get(
        &self,
        _auth: StaffAuth<RolesRead>,
        core: Data<&Arc<Core>>,
        /// The role's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedRole> {
        Ok(ApiResponse::success(roles::get(core.0, id.0).await?.into()))
    }

    /// Make a role
    ///
    /// It can give what its maker may do, and nothing else.
    #[oai(path = "/roles", method = "post", operation_id = "create_role")]
    async fn create(
        &self,
        auth: RecentStaffAuth<RolesWrite>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<RoleRequest>,
    ) -> Answer<ManagedRole> {
        let new = body.0.into();
        let role = roles::create(core.0, &auth.origin, auth.permissions, &new).await?;
        Ok(ApiResponse::success(role.into()))
    }

    /// Change a role
    ///
    /// Counts from the next request on of all who have it. Nobody changes what they may do themselves.
    #[oai(path = "/roles/:id", method = "put", operation_id = "update_role")]
    async fn update(
        &self,
        auth: RecentStaffAuth<RolesWrite>,
        core: Data<&Arc<Core>>,
        /// The role's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<RoleRequest>,
    ) -> Answer<ManagedRole> {
        let (expected, new) = (if_match.expected::<ManagedRole, _>(), body.0.into());
        let own = auth.permissions;
        let role = roles::update(core.0, &auth.origin, own, id.0, expected, &new).await?;
        Ok(ApiResponse::success(role.into()))
    }

    /// Delete a role
    ///
    /// Only one that nobody has.
    #[oai(path = "/roles/:id", method = "delete", operation_id = "delete_role")]
    async fn delete(
        &self,
        auth: RecentStaffAuth<RolesWrite>,
        core: Data<&Arc<Core>>,
        /// The role's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Result<NoContent, ApiError> {
        let expected = if_match.expected::<ManagedRole, _>();
        roles::delete(core.0, &auth.origin, id.0, expected).await?;
        Ok(NoContent::Done)
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn support() -> Option<SearchText> {
    Some(SearchText("support".to_owned()))
}

impl Example for ListedPermission {
    fn example() -> Self {
        Self {
            name: PermissionName(Permission::UsersSuspend),
            description: Permission::UsersSuspend.description().to_owned(),
        }
    }
}

impl Example for RoleName {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0003),
            name: "support".to_owned(),
        }
    }
}

impl Example for PermissionCatalogue {
    fn example() -> Self {
        Self { items: vec![ListedPermission::example()] }
    }
}

impl Example for ManagedRole {
    fn example() -> Self {
        let RoleRequest { name, description, permissions } = RoleRequest::example();
        Self {
            id: an_id(),
            name,
            description,
            permissions,
            is_shipped: false,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for RoleRequest {
    fn example() -> Self {
        Self {
            name: "trust-and-safety".to_owned(),
            description: "Keeps out who misbehaves.".to_owned(),
            permissions: vec![
                PermissionName(Permission::UsersRead),
                PermissionName(Permission::UsersSuspend),
            ],
        }
    }
}
