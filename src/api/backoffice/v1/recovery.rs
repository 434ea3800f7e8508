//! Sessions of staff, and the ways by which staff come to another password or lose a factor.

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

use super::Tag;
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, CursorPage, Done, NoContent},
        error::ApiError,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageSize, SortText, feed_request},
        types::{Email, NewPassword, SecretText},
    },
    db::{
        Origin,
        admin_sessions::{AdminSession, AdminSessionSort},
    },
    services::{
        Core, admin_sessions,
        permissions::{AdminsRead, AdminsSecurity},
        staff_accounts, staff_recovery,
    },
};

/// A session that has not ended.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffSession {
    /// The session's identifier.
    pub id: Uuid,
    /// Whether it is the one of this request.
    pub is_current: bool,
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
}

impl From<(AdminSession, bool)> for StaffSession {
    fn from((session, is_current): (AdminSession, bool)) -> Self {
        Self {
            id: session.id,
            is_current,
            user_agent: session.user_agent,
            ip_address: session.ip_address,
            last_used_at: session.refresh_issued_at,
            idle_expires_at: session.refresh_expires_at,
            expires_at: session.expires_at,
            created_at: session.created_at,
        }
    }
}

/// An address.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ForgotStaffPasswordRequest {
    /// The address of the account.
    pub email: Email,
}

/// A new password, and the token from the mail.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ResetStaffPasswordRequest {
    /// The token from the mail.
    pub token: SecretText,
    /// The new password: at least 12 characters of any kind, unless the settings say otherwise; none that many
    /// others have, and not made of the name or the address.
    pub new_password: NewPassword,
}

/// Operations on sessions and recovery.
pub struct RecoveryApi;

#[OpenApi(tag = "Tag::Auth")]
impl RecoveryApi {
    /// Ask for a new password
    ///
    /// Mails a token, if the address has an account; the answer is the same in any case.
    #[oai(path = "/auth/forgot-password", method = "post", operation_id = "forgot_admin_password")]
    async fn forgot(
        &self,
        origin: Origin,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<ForgotStaffPasswordRequest>,
    ) -> Result<Json<Done>, ApiError> {
        staff_recovery::forgot_password(core.0, &origin, &body.0.email.0).await?;
        Ok(Done::with("If this address has an account, we have sent a mail."))
    }

    /// Choose a new password
    ///
    /// With the token from the mail. Ends all sessions, and does not sign in.
    #[oai(path = "/auth/reset-password", method = "post", operation_id = "reset_admin_password")]
    async fn reset(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<ResetStaffPasswordRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let ResetStaffPasswordRequest { token, new_password } = body.0;
        staff_recovery::reset_password(core.0, &origin, token.expose(), &new_password.0).await?;
        Ok(Done::with("The password is changed. Sign in."))
    }

    /// List one's own sessions
    ///
    /// Those that have not ended.
    #[oai(path = "/auth/sessions", method = "get", operation_id = "list_current_admin_sessions")]
    async fn own(
        &self,
        auth: StaffAuth,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<AdminSessionSort>>,
    ) -> Answer<CursorPage<StaffSession>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let found = admin_sessions::list(core.0, auth.account_id, request).await?;
        let current = auth.session_id;
        let found = found.map(|session| {
            let is_current = session.id == current;
            (session, is_current)
        });
        Ok(ApiResponse::success(found.into()))
    }

    /// End one of one's own sessions
    ///
    /// Its next request is refused.
    #[oai(
        path = "/auth/sessions/:id",
        method = "delete",
        operation_id = "end_current_admin_session"
    )]
    async fn end(
        &self,
        auth: StaffAuth,
        core: Data<&Arc<Core>>,
        /// The session's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        admin_sessions::end(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(NoContent::Done)
    }

    /// List the sessions of a member of the staff
    ///
    /// Those that have not ended.
    #[oai(path = "/admins/:id/sessions", method = "get", operation_id = "list_admin_sessions")]
    async fn list(
        &self,
        auth: StaffAuth<AdminsRead>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<AdminSessionSort>>,
    ) -> Answer<CursorPage<StaffSession>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let admin = staff_accounts::get(core.0, id.0).await?;
        let found = admin_sessions::list(core.0, admin.id, request).await?;
        let current = auth.session_id;
        let found = found.map(|session| {
            let is_current = session.id == current;
            (session, is_current)
        });
        Ok(ApiResponse::success(found.into()))
    }

    /// End all sessions of a member of the staff
    ///
    /// Their next request is refused. Not of who may do more, nor one's own.
    #[oai(path = "/admins/:id/sessions", method = "delete", operation_id = "end_admin_sessions")]
    async fn end_all(
        &self,
        auth: StaffAuth<AdminsSecurity>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        staff_recovery::end_sessions(core.0, &auth.origin, auth.permissions, id.0).await?;
        Ok(NoContent::Done)
    }

    /// Make a member of the staff choose another password
    ///
    /// The present one is of no use any more, sessions end, and a token is mailed. Not of who may do more, nor one's
    /// own.
    #[oai(
        path = "/admins/:id/reset-password",
        method = "post",
        operation_id = "force_admin_password_reset"
    )]
    async fn force_reset(
        &self,
        auth: RecentStaffAuth<AdminsSecurity>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<Json<Done>, ApiError> {
        let (origin, own) = (&auth.origin, auth.permissions);
        staff_recovery::force_password_reset(core.0, origin, own, id.0).await?;
        Ok(Done::with("A mail is on its way."))
    }

    /// Remove the second factor of a member of the staff
    ///
    /// For who has lost it: sessions end, and they are told. Not of who may do more, nor one's own.
    #[oai(path = "/admins/:id/mfa", method = "delete", operation_id = "remove_admin_second_factor")]
    async fn remove_factor(
        &self,
        auth: RecentStaffAuth<AdminsSecurity>,
        core: Data<&Arc<Core>>,
        /// The account's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        let (origin, own) = (&auth.origin, auth.permissions);
        staff_recovery::remove_second_factor(core.0, origin, own, id.0).await?;
        Ok(NoContent::Done)
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

impl Example for StaffSession {
    fn example() -> Self {
        Self {
            id: an_id(),
            is_current: true,
            user_agent: Some("Mozilla/5.0".to_owned()),
            ip_address: Some("203.0.113.7".to_owned()),
            last_used_at: DateTime::UNIX_EPOCH,
            idle_expires_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for ForgotStaffPasswordRequest {
    fn example() -> Self {
        Self { email: Email::example() }
    }
}

impl Example for ResetStaffPasswordRequest {
    fn example() -> Self {
        let token = "4f1c9be27d0a35b86e92c1d7f0483a5e6b9d2c8f7a1e04b3d5968c7f2e1a0b9d";
        Self {
            token: SecretText(token.into()),
            new_password: NewPassword("staple battery horse".into()),
        }
    }
}
