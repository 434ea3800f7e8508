//! Looking at the product as a user sees it.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{super::Tag, managed_user::an_id};
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, NoContent},
        error::ApiError,
        types::Reason,
    },
    services::{
        Core, impersonation, permissions::UsersImpersonate, sessions::ActingToken, tokens::Act,
    },
};

/// Why somebody acts as a user.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ImpersonateUserRequest {
    /// For the record; the user sees in their sessions that somebody does, but not why.
    pub reason: Reason,
}

/// What to act as the user with.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ImpersonationToken {
    /// Send it to the client API as `Authorization: Bearer …`. Its `act` claim names who acts.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Its life in seconds. It can't be refreshed.
    pub expires_in: i64,
    /// The session, which is one of the user's.
    pub session_id: Uuid,
}

/// Operations on impersonations.
pub struct ImpersonationApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl ImpersonationApi {
    /// Act as a user
    ///
    /// Answers with an access token of the client API, which is good for a few minutes and as long as your own session.
    /// It reads; whether it changes anything is a setting, and never how the user signs in. Both ends are recorded.
    #[oai(path = "/:id/impersonate", method = "post", operation_id = "impersonate_user")]
    async fn begin(
        &self,
        auth: RecentStaffAuth<UsersImpersonate>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<ImpersonateUserRequest>,
    ) -> Answer<ImpersonationToken> {
        let act = Act { sub: auth.account_id, sid: auth.session_id };
        let reason = &body.0.reason.0;
        let token = impersonation::begin(core.0, &auth.origin, act, id.0, reason).await?;
        Ok(ApiResponse::success(token.into()))
    }

    /// Stop acting as a user
    ///
    /// Ends all of your own impersonations of this user.
    #[oai(path = "/:id/impersonate", method = "delete", operation_id = "end_impersonation")]
    async fn end(
        &self,
        auth: StaffAuth<UsersImpersonate>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        impersonation::end(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(NoContent::Done)
    }
}

impl From<ActingToken> for ImpersonationToken {
    fn from(token: ActingToken) -> Self {
        Self {
            access_token: token.access_token,
            token_type: "Bearer".to_owned(),
            expires_in: token.expires_in,
            session_id: token.session_id,
        }
    }
}

impl Example for ImpersonateUserRequest {
    fn example() -> Self {
        Self { reason: Reason("Ticket 4711: the list of orders is empty.".to_owned()) }
    }
}

impl Example for ImpersonationToken {
    fn example() -> Self {
        Self {
            access_token: "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.e30.c2ln".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 900,
            session_id: an_id(),
        }
    }
}
