//! Whether users may act.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    super::Tag,
    managed_user::{ManagedUser, an_id},
};
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse},
        etag::IfMatch,
        idempotency::IdempotencyKey,
        types::Reason,
    },
    services::{
        Core,
        permissions::{UsersDelete, UsersSuspend},
        users::status,
    },
};

/// Why the status is changed.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangeUserStatusRequest {
    /// For the record; the user doesn't see it.
    pub reason: Reason,
}

/// Why a user is suspended, and for how long.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct SuspendUserRequest {
    /// For the record; the user doesn't see it.
    pub reason: Reason,
    /// When the user is reactivated; absent: when somebody does it.
    pub until: Option<DateTime<Utc>>,
}

/// Operations on what users may do.
pub struct UserStatusApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UserStatusApi {
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
        body: Body<SuspendUserRequest>,
    ) -> Answer<ManagedUser> {
        let (origin, expected) = (&auth.origin, if_match.expected::<ManagedUser, _>());
        let SuspendUserRequest { reason, until } = body.0;
        let user = status::suspend(core.0, origin, id.0, expected, &reason.0, until).await?;
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
        let reason = &body.0.reason.0;
        let user = status::reactivate(core.0, &auth.origin, id.0, expected, reason).await?;
        Ok(ApiResponse::success(user.into()))
    }

    /// Delete a user
    ///
    /// Ends their sessions and refuses their requests. When the time of grace is over, which `deletion_due_at` tells, the
    /// account is erased; until then it can be restored.
    #[oai(path = "/:id/delete", method = "post", operation_id = "delete_user")]
    async fn delete(
        &self,
        auth: StaffAuth<UsersDelete>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<ChangeUserStatusRequest>,
    ) -> Answer<ManagedUser> {
        let expected = if_match.expected::<ManagedUser, _>();
        let reason = &body.0.reason.0;
        let user = status::delete(core.0, &auth.origin, id.0, expected, reason).await?;
        Ok(ApiResponse::success(user.into()))
    }

    /// Restore a deleted user
    ///
    /// The user may sign in again.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_user")]
    async fn restore(
        &self,
        auth: StaffAuth<UsersDelete>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<ChangeUserStatusRequest>,
    ) -> Answer<ManagedUser> {
        let expected = if_match.expected::<ManagedUser, _>();
        let reason = &body.0.reason.0;
        let user = status::restore(core.0, &auth.origin, id.0, expected, reason).await?;
        Ok(ApiResponse::success(user.into()))
    }
}

impl Example for ChangeUserStatusRequest {
    fn example() -> Self {
        Self { reason: Reason("Has explained it.".to_owned()) }
    }
}

impl Example for SuspendUserRequest {
    fn example() -> Self {
        let until = Some(DateTime::UNIX_EPOCH);
        Self { reason: Reason("Sends spam to other users.".to_owned()), until }
    }
}
