//! One action on many users.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, types::Example};
use uuid::Uuid;

use super::{super::Tag, managed_user::an_id};
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse},
        types::Reason,
    },
    db::Origin,
    services::{
        Code, Core,
        permissions::{UsersDelete, UsersSecurity, UsersSuspend},
        users::bulk::{self, Action, Row},
    },
};

/// Which users, and why.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct BulkUsersRequest {
    /// The users' identifiers.
    #[oai(validator(min_items = 1, max_items = 100, unique_items))]
    pub ids: Vec<Uuid>,
    /// For the record; the users don't see it.
    pub reason: Reason,
}

/// What has become of one user.
#[derive(Debug, Object)]
#[oai(example)]
pub struct BulkUserResult {
    /// The user's identifier.
    pub id: Uuid,
    /// Whether it was done.
    pub is_done: bool,
    /// Why it was not: the identifier that the operation on this user alone would fail with.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
    /// The same for people.
    #[oai(skip_serializing_if_is_none)]
    pub message: Option<String>,
}

/// What has become of each.
#[derive(Debug, Object)]
#[oai(example)]
pub struct BulkUsersResult {
    /// In the order of the request.
    pub results: Vec<BulkUserResult>,
}

impl From<Row> for BulkUserResult {
    fn from(row: Row) -> Self {
        let failed = row.outcome.err();
        Self {
            id: row.id,
            is_done: failed.is_none(),
            error: failed.map(|code: Code| code.identifier().to_owned()),
            message: failed.map(|code| code.message().to_owned()),
        }
    }
}

async fn run(
    core: &Core,
    origin: &Origin,
    action: Action,
    body: BulkUsersRequest,
) -> Answer<BulkUsersResult> {
    let rows = bulk::run(core, origin, action, &body.ids, &body.reason.0).await?;
    let results = rows.into_iter().map(Into::into).collect();
    Ok(ApiResponse::success(BulkUsersResult { results }))
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
        body: Body<BulkUsersRequest>,
    ) -> Answer<BulkUsersResult> {
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
        body: Body<BulkUsersRequest>,
    ) -> Answer<BulkUsersResult> {
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
        body: Body<BulkUsersRequest>,
    ) -> Answer<BulkUsersResult> {
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
        body: Body<BulkUsersRequest>,
    ) -> Answer<BulkUsersResult> {
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
        body: Body<BulkUsersRequest>,
    ) -> Answer<BulkUsersResult> {
        run(core.0, &auth.origin, Action::EndSessions, body.0).await
    }
}

impl Example for BulkUsersRequest {
    fn example() -> Self {
        Self { ids: vec![an_id()], reason: Reason("Sends spam to other users.".to_owned()) }
    }
}

impl Example for BulkUserResult {
    fn example() -> Self {
        let code = Code::UserAlreadySuspended;
        Self {
            id: an_id(),
            is_done: false,
            error: Some(code.identifier().to_owned()),
            message: Some(code.message().to_owned()),
        }
    }
}

impl Example for BulkUsersResult {
    fn example() -> Self {
        Self { results: vec![BulkUserResult::example()] }
    }
}
