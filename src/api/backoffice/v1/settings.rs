//! What staff set while the service runs.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query, types::Example};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, CursorPage},
        etag::IfMatch,
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::setting_versions::{self, VersionSort},
    services::{
        Core,
        live_settings::{self, Current, Maintenance, PlatformRelease, Releases},
        permissions::{SettingsRead, SettingsWrite},
    },
};

/// What an app on one platform must know.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ManagedRelease {
    /// Which platform, such as `ios`.
    #[oai(validator(max_length = 32, pattern = "^[a-z][a-z0-9_-]*$"))]
    pub platform: String,
    /// Older apps must not go on.
    #[oai(validator(max_length = 32, pattern = r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"))]
    pub minimum_version: String,
    /// The newest in the store.
    #[oai(validator(max_length = 32, pattern = r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"))]
    pub latest_version: String,
    /// Whether everyone must take the newest.
    pub force_upgrade: bool,
}

/// The releases of the apps.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ReleaseSettings {
    /// Platform by platform.
    pub platforms: Vec<ManagedRelease>,
    /// How often that was set; 0 while it is what the configuration says.
    pub version: i32,
    /// When it was last set.
    #[oai(skip_serializing_if_is_none)]
    pub changed_at: Option<DateTime<Utc>>,
    /// The admin who set it.
    #[oai(skip_serializing_if_is_none)]
    pub changed_by: Option<Uuid>,
}

/// Whether the client API is closed.
#[derive(Debug, Object)]
#[oai(example)]
pub struct MaintenanceSettings {
    /// Whether it answers 503 to everything but health and releases.
    pub enabled: bool,
    /// What it says then, for people.
    #[oai(skip_serializing_if_is_none)]
    pub message: Option<String>,
    /// When to try again, in seconds.
    pub retry_after_seconds: u32,
    /// How often that was set; 0 if never.
    pub version: i32,
    /// When it was last set.
    #[oai(skip_serializing_if_is_none)]
    pub changed_at: Option<DateTime<Utc>>,
    /// The admin who set it.
    #[oai(skip_serializing_if_is_none)]
    pub changed_by: Option<Uuid>,
}

/// What a setting was from then on.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SettingVersion {
    /// From 1.
    pub version: i32,
    /// The setting as a whole.
    pub value: Value,
    /// When it was set.
    pub changed_at: DateTime<Utc>,
    /// The admin who set it.
    #[oai(skip_serializing_if_is_none)]
    pub changed_by: Option<Uuid>,
}

/// The releases of the apps, all of them.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangeReleaseRequest {
    /// Platform by platform.
    #[oai(validator(max_items = 20))]
    pub platforms: Vec<ManagedRelease>,
}

/// Whether to close the client API.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangeMaintenanceRequest {
    /// Whether it answers 503 to everything but health and releases.
    pub enabled: bool,
    /// What it says then, for people; a text of ours unless given.
    #[oai(validator(min_length = 1, max_length = 500, pattern = r"^[^\x00]*$"))]
    pub message: Option<String>,
    /// When to try again, in seconds.
    #[oai(validator(minimum(value = "1"), maximum(value = "86400")))]
    pub retry_after_seconds: u32,
}

/// Operations on settings.
pub struct SettingsApi;

#[OpenApi(prefix_path = "/settings", tag = "Tag::Settings")]
impl SettingsApi {
    /// Read the releases of the apps
    ///
    /// What `get_release` of the client API tells them.
    #[oai(path = "/release", method = "get", operation_id = "get_release_settings")]
    async fn release(
        &self,
        _auth: StaffAuth<SettingsRead>,
        core: Data<&Arc<Core>>,
    ) -> Answer<ReleaseSettings> {
        Ok(ApiResponse::success(live_settings::read::<Releases>(core.0).await?.into()))
    }

    /// Change the releases of the apps
    ///
    /// In every process within a second; apps ask again within a minute.
    #[oai(path = "/release", method = "put", operation_id = "change_release_settings")]
    async fn change_release(
        &self,
        auth: RecentStaffAuth<SettingsWrite>,
        core: Data<&Arc<Core>>,
        if_match: IfMatch,
        body: Body<ChangeReleaseRequest>,
    ) -> Answer<ReleaseSettings> {
        let expected = if_match.expected::<ReleaseSettings, _>();
        let changed = live_settings::change(core.0, &auth.origin, expected, body.0.into()).await?;
        Ok(ApiResponse::success(changed.into()))
    }

    /// List what the releases were
    ///
    /// Each change, newest first.
    #[oai(path = "/release/history", method = "get", operation_id = "list_release_settings")]
    async fn release_history(
        &self,
        _auth: StaffAuth<SettingsRead>,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before, with the same sort.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<VersionSort>>,
    ) -> Answer<CursorPage<SettingVersion>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let found = live_settings::history::<Releases>(core.0, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read whether the client API is closed
    ///
    /// For maintenance; the backoffice stays open.
    #[oai(path = "/maintenance", method = "get", operation_id = "get_maintenance_settings")]
    async fn maintenance(
        &self,
        _auth: StaffAuth<SettingsRead>,
        core: Data<&Arc<Core>>,
    ) -> Answer<MaintenanceSettings> {
        Ok(ApiResponse::success(live_settings::read::<Maintenance>(core.0).await?.into()))
    }

    /// Close or open the client API
    ///
    /// In every process within a second. Closed, it answers 503 with the message and `Retry-After`.
    #[oai(path = "/maintenance", method = "put", operation_id = "change_maintenance_settings")]
    async fn change_maintenance(
        &self,
        auth: RecentStaffAuth<SettingsWrite>,
        core: Data<&Arc<Core>>,
        if_match: IfMatch,
        body: Body<ChangeMaintenanceRequest>,
    ) -> Answer<MaintenanceSettings> {
        let expected = if_match.expected::<MaintenanceSettings, _>();
        let changed = live_settings::change(core.0, &auth.origin, expected, body.0.into()).await?;
        Ok(ApiResponse::success(changed.into()))
    }

    /// List when the client API was closed
    ///
    /// Each change, newest first.
    #[oai(
        path = "/maintenance/history",
        method = "get",
        operation_id = "list_maintenance_settings"
    )]
    async fn maintenance_history(
        &self,
        _auth: StaffAuth<SettingsRead>,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before, with the same sort.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<VersionSort>>,
    ) -> Answer<CursorPage<SettingVersion>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let found = live_settings::history::<Maintenance>(core.0, request).await?;
        Ok(ApiResponse::success(found.into()))
    }
}

impl From<PlatformRelease> for ManagedRelease {
    fn from(release: PlatformRelease) -> Self {
        let PlatformRelease { platform, minimum_version, latest_version, force_upgrade } = release;
        Self { platform, minimum_version, latest_version, force_upgrade }
    }
}

impl From<ManagedRelease> for PlatformRelease {
    fn from(release: ManagedRelease) -> Self {
        let ManagedRelease { platform, minimum_version, latest_version, force_upgrade } = release;
        Self { platform, minimum_version, latest_version, force_upgrade }
    }
}

impl From<Current<Releases>> for ReleaseSettings {
    fn from(current: Current<Releases>) -> Self {
        Self {
            platforms: current.value.platforms.into_iter().map(Into::into).collect(),
            version: current.version,
            changed_at: current.changed_at,
            changed_by: current.changed_by,
        }
    }
}

impl From<Current<Maintenance>> for MaintenanceSettings {
    fn from(current: Current<Maintenance>) -> Self {
        Self {
            enabled: current.value.enabled,
            message: current.value.message,
            retry_after_seconds: current.value.retry_after_seconds,
            version: current.version,
            changed_at: current.changed_at,
            changed_by: current.changed_by,
        }
    }
}

impl From<setting_versions::SettingVersion> for SettingVersion {
    fn from(row: setting_versions::SettingVersion) -> Self {
        let setting_versions::SettingVersion { version, value, changed_by, created_at, .. } = row;
        Self { version, value, changed_at: created_at, changed_by }
    }
}

impl From<ChangeReleaseRequest> for Releases {
    fn from(request: ChangeReleaseRequest) -> Self {
        Self { platforms: request.platforms.into_iter().map(Into::into).collect() }
    }
}

impl From<ChangeMaintenanceRequest> for Maintenance {
    fn from(request: ChangeMaintenanceRequest) -> Self {
        let ChangeMaintenanceRequest { enabled, message, retry_after_seconds } = request;
        Self { enabled, message, retry_after_seconds }
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

impl Example for ManagedRelease {
    fn example() -> Self {
        Self {
            platform: "ios".to_owned(),
            minimum_version: "1.0.0".to_owned(),
            latest_version: "1.2.0".to_owned(),
            force_upgrade: false,
        }
    }
}

impl Example for ReleaseSettings {
    fn example() -> Self {
        Self {
            platforms: vec![ManagedRelease::example()],
            version: 1,
            changed_at: Some(DateTime::UNIX_EPOCH),
            changed_by: Some(an_id()),
        }
    }
}

impl Example for MaintenanceSettings {
    fn example() -> Self {
        Self {
            enabled: true,
            message: Some("We are back at ten.".to_owned()),
            retry_after_seconds: 600,
            version: 1,
            changed_at: Some(DateTime::UNIX_EPOCH),
            changed_by: Some(an_id()),
        }
    }
}

impl Example for SettingVersion {
    fn example() -> Self {
        Self {
            version: 1,
            value: json!({"enabled": false, "message": null, "retry_after_seconds": 600}),
            changed_at: DateTime::UNIX_EPOCH,
            changed_by: Some(an_id()),
        }
    }
}

impl Example for ChangeReleaseRequest {
    fn example() -> Self {
        Self { platforms: vec![ManagedRelease::example()] }
    }
}

impl Example for ChangeMaintenanceRequest {
    fn example() -> Self {
        Self {
            enabled: true,
            message: Some("We are back at ten.".to_owned()),
            retry_after_seconds: 600,
        }
    }
}
