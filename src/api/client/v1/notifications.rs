//! What the signed-in user is told within the apps.

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
        auth::ClientAuth,
        envelope::{Answer, ApiResponse, CursorPage, NoContent},
        error::ApiError,
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::notifications::{self as rows, NotificationFilter, NotificationSort},
    services::{Core, notices::Details, notifications},
};

/// Something that the user was told.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Notification {
    /// The notification's identifier.
    pub id: Uuid,
    /// What has happened: `new_device`, `password_changed`, `email_changed`, `second_factor_enabled`,
    /// `second_factor_disabled`, `recovery_codes_renewed`, `refresh_token_reused`,
    /// `deletion_requested`, `deletion_cancelled`, `post_hidden`, `post_restored` or `post_erased`. Others may come: apps leave out those that they don't know.
    pub kind: String,
    /// More of it.
    pub details: NotificationDetails,
    /// When the user read it first; absent until then.
    #[oai(skip_serializing_if_is_none)]
    pub read_at: Option<DateTime<Utc>>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}

/// More of a notification: what its kind has.
#[derive(Debug, Object)]
#[oai(example)]
pub struct NotificationDetails {
    /// The session that it is about.
    #[oai(skip_serializing_if_is_none)]
    pub session_id: Option<Uuid>,
    /// What the app calls the device of that session.
    #[oai(skip_serializing_if_is_none)]
    pub device_name: Option<String>,
    /// The `User-Agent` of the device.
    #[oai(skip_serializing_if_is_none)]
    pub user_agent: Option<String>,
    /// The address that the device came from.
    #[oai(skip_serializing_if_is_none)]
    pub ip_address: Option<String>,
    /// The post that it is about.
    #[oai(skip_serializing_if_is_none)]
    pub post_id: Option<Uuid>,
    /// The title of that post, as it was then.
    #[oai(skip_serializing_if_is_none)]
    pub post_title: Option<String>,
    /// Why staff did it.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
}

/// How many notifications are new.
#[derive(Debug, Object)]
#[oai(example)]
pub struct UnreadNotifications {
    /// How many the user has not read.
    pub unread: i64,
}

impl From<rows::Notification> for Notification {
    fn from(row: rows::Notification) -> Self {
        // What a newer version has written may have another form.
        let details: Details = serde_json::from_value(row.data).unwrap_or_default();
        Self {
            id: row.id,
            kind: row.kind,
            details: NotificationDetails {
                session_id: details.session_id,
                device_name: details.device_name,
                user_agent: details.user_agent,
                ip_address: details.ip_address,
                post_id: details.post_id,
                post_title: details.post_title,
                reason: details.reason,
            },
            read_at: row.read_at,
            created_at: row.created_at,
        }
    }
}

/// Operations on notifications.
pub struct NotificationsApi;

#[OpenApi(prefix_path = "/notifications", tag = "Tag::Notifications")]
impl NotificationsApi {
    /// List one's own notifications
    ///
    /// Newest first. They are kept for 180 days.
    #[oai(path = "/", method = "get", operation_id = "list_notifications")]
    async fn list(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// Only those that are read, or only those that aren't.
        #[oai(example = "is_read")]
        is_read: Query<Option<bool>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<NotificationSort>>,
    ) -> Answer<CursorPage<Notification>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let filter = NotificationFilter { user_id: auth.account_id, is_read: is_read.0 };
        let found = notifications::list(core.0, filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Count one's new notifications
    ///
    /// Those that are not read.
    #[oai(path = "/unread", method = "get", operation_id = "count_unread_notifications")]
    async fn count_unread(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
    ) -> Answer<UnreadNotifications> {
        let unread = notifications::count_unread(core.0, auth.account_id).await?;
        Ok(ApiResponse::success(UnreadNotifications { unread }))
    }

    /// Mark a notification as read
    ///
    /// The first time counts.
    #[oai(path = "/:id/read", method = "post", operation_id = "read_notification")]
    async fn read(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The notification's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        notifications::read(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(NoContent::Done)
    }

    /// Mark all notifications as read
    ///
    /// Those that there are by now.
    #[oai(path = "/read", method = "post", operation_id = "read_all_notifications")]
    async fn read_all(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
    ) -> Result<NoContent, ApiError> {
        notifications::read_all(core.0, &auth.origin, auth.account_id).await?;
        Ok(NoContent::Done)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn is_read() -> Option<bool> {
    Some(false)
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

impl Example for Notification {
    fn example() -> Self {
        Self {
            id: an_id(),
            kind: "new_device".to_owned(),
            details: NotificationDetails::example(),
            read_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for NotificationDetails {
    fn example() -> Self {
        Self {
            session_id: Some(an_id()),
            device_name: Some("Ada's phone".to_owned()),
            user_agent: Some("Shop/1.4 (iOS 19)".to_owned()),
            ip_address: Some("203.0.113.7".to_owned()),
            post_id: Some(an_id()),
            post_title: Some("On the Analytical Engine".to_owned()),
            reason: Some("It names people who have not agreed.".to_owned()),
        }
    }
}

impl Example for UnreadNotifications {
    fn example() -> Self {
        Self { unread: 2 }
    }
}
