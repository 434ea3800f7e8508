//! One action on many users.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;

use super::super::{
    Tag,
    bulk::{BulkRequest, BulkResults},
};
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse},
    },
    db::Origin,
    services::{
        Core,
        permissions::{UsersDelete, UsersSecurity, UsersSuspend},
        users::bulk::{self, Action},
    },
};

async fn run(
    core: &Core,
    origin: &Origin,
    action: Action,
    body: BulkRequest,
) -> Answer<BulkResults> {
    let rows = bulk::run(core, origin, action, &body.ids, &body.reason.0).await?;
    Ok(ApiResponse::success(rows.into()))
}

/// Operations on many users.
pub struct UsersBulkApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UsersBulkApi {
    /// Suspend users
    ///
    /// Each as `suspend_user` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/suspend", method = "post", operation_id = "suspend_users")]
    async fn suspend(
        &self,
        auth: StaffAuth<UsersSuspend>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        run(core.0, &auth.origin, Action::Suspend, body.0).await
    }

    /// Reactivate users
    ///
    /// Each as `reactivate_user` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/reactivate", method = "post", operation_id = "reactivate_users")]
    async fn reactivate(
        &self,
        auth: StaffAuth<UsersSuspend>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        run(core.0, &auth.origin, Action::Reactivate, body.0).await
    }

    /// Delete users
    ///
    /// Each as `delete_user` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/delete", method = "post", operation_id = "delete_users")]
    async fn delete(
        &self,
        auth: StaffAuth<UsersDelete>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        run(core.0, &auth.origin, Action::Delete, body.0).await
    }

    /// Restore users
    ///
    /// Each as `restore_user` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/restore", method = "post", operation_id = "restore_users")]
    async fn restore(
        &self,
        auth: StaffAuth<UsersDelete>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        run(core.0, &auth.origin, Action::Restore, body.0).await
    }

    /// End all sessions of users
    ///
    /// Each as `end_user_sessions` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/end-sessions", method = "post", operation_id = "end_sessions_of_users")]
    async fn end_sessions(
        &self,
        auth: StaffAuth<UsersSecurity>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        run(core.0, &auth.origin, Action::EndSessions, body.0).await
    }
}
