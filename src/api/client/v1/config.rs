//! The state of the service, and what apps must know of their own releases.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    ApiResponse as OpenApiResponse, Enum, Object, OpenApi, payload::Json, types::Example,
};

use super::Tag;
use crate::{
    api::envelope::{Answer, ApiResponse},
    services::{
        Core,
        health::{self, Report, State},
    },
};

/// How the service is as a whole.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum OverallStatus {
    Healthy,
    /// Everything essential works.
    Degraded,
    /// Nothing can be done without the database.
    Unhealthy,
}

/// How one part is.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum PartStatus {
    Up,
    Down,
    Degraded,
    /// Up, as the stand-in that comes with the product.
    Embedded,
}

/// One part of the service.
#[derive(Debug, Object)]
pub struct PartHealth {
    /// How it is.
    pub status: PartStatus,
    /// How long its last answer took.
    pub latency_ms: u64,
}

/// All parts of the service.
#[derive(Debug, Object)]
pub struct ServicesHealth {
    /// This process.
    pub api: PartHealth,
    /// PostgreSQL.
    pub database: PartHealth,
    /// The way out for mail.
    pub mail: PartHealth,
    /// Background work.
    pub jobs: PartHealth,
}

/// The state of the service.
#[derive(Debug, Object)]
pub struct ServiceHealth {
    /// As a whole.
    pub status: OverallStatus,
    /// The version that runs.
    pub version: String,
    /// Part by part.
    pub services: ServicesHealth,
}

/// The same data with a status that machines can read.
#[derive(OpenApiResponse)]
pub enum HealthAnswer {
    /// Healthy or degraded.
    #[oai(status = 200)]
    Working(Json<ApiResponse<ServiceHealth>>),
    /// Nothing can be done without the database.
    #[oai(status = 503)]
    Unhealthy(
        Json<ApiResponse<ServiceHealth>>,
        /// Seconds.
        #[oai(header = "Retry-After")]
        u32,
    ),
}

/// What the app on one platform must know.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct PlatformRelease {
    /// Which platform, such as `ios`.
    pub platform: String,
    /// Older apps must not go on.
    pub minimum_version: String,
    /// The newest in the store.
    pub latest_version: String,
    /// Whether everyone must take the newest.
    pub force_upgrade: bool,
}

/// The releases of the apps.
#[derive(Debug, Object)]
pub struct AppReleases {
    /// The version of the server.
    pub server_version: String,
    /// Platform by platform.
    pub platforms: Vec<PlatformRelease>,
}

/// Operations that need no account.
pub struct ConfigApi;

#[OpenApi(prefix_path = "/config", tag = "Tag::Config")]
impl ConfigApi {
    /// Read the state of the service
    #[oai(path = "/health", method = "get", operation_id = "get_health")]
    async fn health(&self, core: Data<&Arc<Core>>) -> HealthAnswer {
        let report = core.health.report(core.0).await;
        let mut answer = ApiResponse::success(ServiceHealth::from(&report));
        if report.overall() == State::Down {
            (answer.0.code, answer.0.message) = (503, "Unhealthy".to_owned());
            return HealthAnswer::Unhealthy(answer, 1);
        }
        HealthAnswer::Working(answer)
    }

    /// Read what apps must know of their releases
    #[oai(path = "/release", method = "get", operation_id = "get_release")]
    async fn release(&self, releases: Data<&Arc<Vec<PlatformRelease>>>) -> Answer<AppReleases> {
        Ok(ApiResponse::success(AppReleases {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            platforms: releases.0.to_vec(),
        }))
    }
}

impl From<health::Part> for PartHealth {
    fn from(part: health::Part) -> Self {
        let status = match part.state {
            State::Up => PartStatus::Up,
            State::Down => PartStatus::Down,
            State::Degraded => PartStatus::Degraded,
            State::Embedded => PartStatus::Embedded,
        };
        Self { status, latency_ms: part.latency_ms }
    }
}

impl From<&Report> for ServiceHealth {
    fn from(report: &Report) -> Self {
        Self {
            status: match report.overall() {
                State::Down => OverallStatus::Unhealthy,
                State::Degraded => OverallStatus::Degraded,
                State::Up | State::Embedded => OverallStatus::Healthy,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            services: ServicesHealth {
                api: report.api.into(),
                database: report.database.into(),
                mail: report.mail.into(),
                jobs: report.jobs.into(),
            },
        }
    }
}

impl Example for PlatformRelease {
    fn example() -> Self {
        Self {
            platform: "ios".to_owned(),
            minimum_version: "1.0.0".to_owned(),
            latest_version: "1.2.0".to_owned(),
            force_upgrade: false,
        }
    }
}
