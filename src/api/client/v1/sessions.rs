//! The signed-in user's sessions: one for each sign-in.

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
        auth::{ClientAuth, Never},
        envelope::{Answer, ApiResponse, CursorPage, NoContent},
        error::ApiError,
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::user_sessions::{UserSession, UserSessionSort},
    services::{Core, own_sessions},
};

/// A session that has not ended.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Session {
    /// The session's identifier.
    pub id: Uuid,
    /// Whether it is the one of this request.
    pub is_current: bool,
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
    /// Whether a member of the staff looks at the product as the user in it, to help.
    pub is_impersonation: bool,
}

impl From<(UserSession, bool)> for Session {
    fn from((session, is_current): (UserSession, bool)) -> Self {
        Self {
            id: session.id,
            is_current,
            device_name: session.device_name,
            user_agent: session.user_agent,
            ip_address: session.ip_address,
            last_used_at: session.refresh_issued_at,
            idle_expires_at: session.refresh_expires_at,
            expires_at: session.expires_at,
            created_at: session.created_at,
            is_impersonation: session.impersonator_id.is_some(),
        }
    }
}

/// Operations on sessions.
pub struct SessionsApi;

#[OpenApi(prefix_path = "/auth/sessions", tag = "Tag::Auth")]
impl SessionsApi {
    /// List one's own sessions
    ///
    /// Those that have not ended.
    #[oai(path = "/", method = "get", operation_id = "list_sessions")]
    async fn list(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<UserSessionSort>>,
    ) -> Answer<CursorPage<Session>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let found = own_sessions::list(core.0, auth.account_id, request).await?;
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
    #[oai(path = "/:id", method = "delete", operation_id = "end_session")]
    async fn end(
        &self,
        auth: ClientAuth<Never>,
        core: Data<&Arc<Core>>,
        /// The session's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        own_sessions::end(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(NoContent::Done)
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

impl Example for Session {
    fn example() -> Self {
        Self {
            id: an_id(),
            is_current: true,
            device_name: Some("Ada's phone".to_owned()),
            user_agent: Some("Shop/1.4 (iOS 19)".to_owned()),
            ip_address: Some("203.0.113.7".to_owned()),
            last_used_at: DateTime::UNIX_EPOCH,
            idle_expires_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            created_at: DateTime::UNIX_EPOCH,
            is_impersonation: false,
        }
    }
}
