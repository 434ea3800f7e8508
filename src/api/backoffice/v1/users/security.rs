//! How users sign in: their addresses, passwords, second factors and sessions.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use uuid::Uuid;

use super::{
    super::Tag,
    managed_user::{ManagedUser, an_id},
};
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        envelope::{Answer, ApiResponse, CursorPage, Done, NoContent},
        error::ApiError,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::user_sessions::{UserSession, UserSessionSort},
    services::{
        Core, own_sessions,
        permissions::{UsersRead, UsersSecurity, UsersUpdate},
        users::security,
    },
};

/// A session of a user that has not ended.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedUserSession {
    /// The session's identifier.
    pub id: Uuid,
    /// What the app called the device at the sign-in.
    #[oai(skip_serializing_if_is_none)]
    pub device_name: Option<String>,
    /// The `User-Agent` of the last sign-in or refresh.
    #[oai(skip_serializing_if_is_none)]
    pub user_agent: Option<String>,
    /// The address that the last sign-in or refresh came from.
    #[oai(skip_serializing_if_is_none)]
    pub ip_address: Option<String>,
    /// When it was last signed in to or refreshed.
    pub last_used_at: DateTime<Utc>,
    /// When it ends, unless it is refreshed.
    pub idle_expires_at: DateTime<Utc>,
    /// When it ends in any case.
    pub expires_at: DateTime<Utc>,
    /// When it was signed in to.
    pub created_at: DateTime<Utc>,
    /// The member of the staff who acts as the user in it.
    #[oai(skip_serializing_if_is_none)]
    pub impersonator_id: Option<Uuid>,
}

impl From<UserSession> for ManagedUserSession {
    fn from(session: UserSession) -> Self {
        Self {
            id: session.id,
            device_name: session.device_name,
            user_agent: session.user_agent,
            ip_address: session.ip_address,
            last_used_at: session.refresh_issued_at,
            idle_expires_at: session.refresh_expires_at,
            expires_at: session.expires_at,
            created_at: session.created_at,
            impersonator_id: session.impersonator_id,
        }
    }
}

/// Operations on how users sign in.
pub struct UserSecurityApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UserSecurityApi {
    /// Verify a user's address
    ///
    /// On the word of a member of the staff, without a code.
    #[oai(path = "/:id/verify", method = "post", operation_id = "verify_user")]
    async fn verify(
        &self,
        auth: StaffAuth<UsersUpdate>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedUser> {
        Ok(ApiResponse::success(security::verify(core.0, &auth.origin, id.0).await?.into()))
    }

    /// Mail a user another code
    ///
    /// By which the person verifies the address.
    #[oai(path = "/:id/resend-code", method = "post", operation_id = "resend_user_code")]
    async fn resend_code(
        &self,
        auth: StaffAuth<UsersUpdate>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<Json<Done>, ApiError> {
        security::resend_code(core.0, &auth.origin, id.0).await?;
        Ok(Done::with("A code is on its way."))
    }

    /// Force a user to choose a new password
    ///
    /// The one in use is good for nothing any more, all sessions end, and a token to choose another one with is
    /// mailed.
    #[oai(
        path = "/:id/force-password-reset",
        method = "post",
        operation_id = "force_password_reset"
    )]
    async fn force_password_reset(
        &self,
        auth: StaffAuth<UsersSecurity>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<Json<Done>, ApiError> {
        security::force_password_reset(core.0, &auth.origin, id.0).await?;
        Ok(Done::with("The user is mailed a token to choose a new password with."))
    }

    /// Remove a user's second factor
    ///
    /// For somebody who has lost it. All sessions end. A password that is too short to be the only factor has to be
    /// replaced by mail.
    #[oai(
        path = "/:id/second-factor",
        method = "delete",
        operation_id = "remove_user_second_factor"
    )]
    async fn remove_second_factor(
        &self,
        auth: RecentStaffAuth<UsersSecurity>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        security::remove_second_factor(core.0, &auth.origin, id.0).await?;
        Ok(NoContent::Done)
    }

    /// List a user's sessions
    ///
    /// Those that have not ended.
    #[oai(path = "/:id/sessions", method = "get", operation_id = "list_user_sessions")]
    async fn list_sessions(
        &self,
        _auth: StaffAuth<UsersRead>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<UserSessionSort>>,
    ) -> Answer<CursorPage<ManagedUserSession>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        Ok(ApiResponse::success(security::sessions(core.0, id.0, request).await?.into()))
    }

    /// End a user's session
    ///
    /// The next request of it is refused.
    #[oai(path = "/:id/sessions/:session_id", method = "delete", operation_id = "end_user_session")]
    async fn end_session(
        &self,
        auth: StaffAuth<UsersSecurity>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        /// The session's identifier.
        #[oai(example = "an_id")]
        session_id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        own_sessions::end(core.0, &auth.origin, id.0, session_id.0).await?;
        Ok(NoContent::Done)
    }

    /// End all sessions of a user
    ///
    /// The next request of each is refused.
    #[oai(path = "/:id/sessions", method = "delete", operation_id = "end_user_sessions")]
    async fn end_sessions(
        &self,
        auth: StaffAuth<UsersSecurity>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        security::end_sessions(core.0, &auth.origin, id.0).await?;
        Ok(NoContent::Done)
    }
}

impl Example for ManagedUserSession {
    fn example() -> Self {
        Self {
            id: an_id(),
            device_name: Some("Shop on a phone".to_owned()),
            user_agent: Some("Shop/1.4.2 (Android 16)".to_owned()),
            ip_address: Some("203.0.113.7".to_owned()),
            last_used_at: DateTime::UNIX_EPOCH,
            idle_expires_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            created_at: DateTime::UNIX_EPOCH,
            impersonator_id: Some(an_id()),
        }
    }
}
