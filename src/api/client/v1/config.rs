//! The state of the service, and what apps must know of their own releases.

use std::sync::Arc;

use poem::{http::header, web::Data};
use poem_openapi::{
    ApiResponse as OpenApiResponse, Enum, Object, OpenApi,
    payload::{Json, Response as WithHeaders},
    types::Example,
};

use super::Tag;
use crate::{
    api::{
        envelope::{ApiResponse, ErrorResponse},
        error::ApiError,
    },
    db::Origin,
    services::{
        Code, Core,
        health::{self, Report, State},
        live_settings::{self, Releases},
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
#[oai(example)]
pub struct PartHealth {
    /// How it is.
    pub status: PartStatus,
    /// How long its last answer took.
    pub latency_ms: u64,
}

/// All parts of the service.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ServicesHealth {
    /// This process.
    pub api: PartHealth,
    /// PostgreSQL.
    pub database: PartHealth,
    /// Where objects are kept; absent where no storage is configured.
    #[oai(skip_serializing_if_is_none)]
    pub storage: Option<PartHealth>,
    /// Where log lines go through; absent where no Redis is configured.
    #[oai(skip_serializing_if_is_none)]
    pub redis: Option<PartHealth>,
    /// The way out for mail.
    pub mail: PartHealth,
    /// Background work.
    pub jobs: PartHealth,
}

/// The state of the service.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ServiceHealth {
    /// As a whole.
    pub status: OverallStatus,
    /// The version that runs.
    pub version: String,
    /// Part by part.
    pub services: ServicesHealth,
}

/// A failure that brings its data along.
#[derive(Debug, Object)]
#[oai(example)]
pub struct UnhealthyResponse {
    /// 503: nothing can be done without the database.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
    /// What works and what doesn't.
    pub data: ServiceHealth,
    /// A stable identifier to switch on.
    pub error: String,
    /// Find the request in the log with it.
    pub request_id: String,
}

/// The state of the service with a status that machines can read.
#[derive(OpenApiResponse)]
pub enum HealthAnswer {
    /// Healthy or degraded.
    #[oai(status = 200)]
    Working(Json<ApiResponse<ServiceHealth>>),
    /// Nothing can be done without the database.
    #[oai(status = 503)]
    Unhealthy(
        Json<UnhealthyResponse>,
        /// Seconds.
        #[oai(header = "Retry-After")]
        u32,
    ),
    /// A query that it doesn't know.
    #[oai(status = 422)]
    Invalid(Json<ErrorResponse>),
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
#[oai(example)]
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
    ///
    /// As a whole and part by part; 503 when nothing can be done.
    #[oai(path = "/health", method = "get", operation_id = "get_health")]
    async fn health(&self, origin: Origin, core: Data<&Arc<Core>>) -> HealthAnswer {
        let report = core.health.report(core.0).await;
        let data = ServiceHealth::from(&report);
        match report.overall() {
            State::Down => HealthAnswer::Unhealthy(unhealthy(data, origin.request_id), 1),
            _ => HealthAnswer::Working(ApiResponse::success(data)),
        }
    }

    /// Read what apps must know of their releases
    ///
    /// For each platform the oldest version that may go on, and the newest.
    #[oai(path = "/release", method = "get", operation_id = "get_release")]
    async fn release(
        &self,
        _origin: Origin,
        core: Data<&Arc<Core>>,
    ) -> Result<WithHeaders<Json<ApiResponse<AppReleases>>>, ApiError> {
        let current = core.live_settings.get::<Releases>(core.0).await;
        let releases = AppReleases {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            platforms: current.value.platforms.into_iter().map(Into::into).collect(),
        };
        // Every start of every app asks for it; a minute is soon enough for a forced upgrade.
        let answer = WithHeaders::new(ApiResponse::success(releases));
        Ok(answer.header(header::CACHE_CONTROL, "public, max-age=60"))
    }
}

fn unhealthy(data: ServiceHealth, request_id: String) -> Json<UnhealthyResponse> {
    let code = Code::Unavailable;
    Json(UnhealthyResponse {
        code: code.number(),
        message: code.message().to_owned(),
        data,
        error: code.identifier().to_owned(),
        request_id,
    })
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
                storage: report.storage.map(Into::into),
                redis: report.redis.map(Into::into),
                mail: report.mail.into(),
                jobs: report.jobs.into(),
            },
        }
    }
}

impl From<live_settings::PlatformRelease> for PlatformRelease {
    fn from(release: live_settings::PlatformRelease) -> Self {
        Self {
            platform: release.platform,
            minimum_version: release.minimum_version,
            latest_version: release.latest_version,
            force_upgrade: release.force_upgrade,
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

impl Example for PartHealth {
    fn example() -> Self {
        Self { status: PartStatus::Up, latency_ms: 1 }
    }
}

impl Example for ServicesHealth {
    fn example() -> Self {
        let part = PartHealth::example;
        Self {
            api: part(),
            database: part(),
            storage: Some(part()),
            redis: Some(part()),
            mail: part(),
            jobs: part(),
        }
    }
}

impl Example for ServiceHealth {
    fn example() -> Self {
        Self {
            status: OverallStatus::Healthy,
            version: "0.1.0".to_owned(),
            services: ServicesHealth::example(),
        }
    }
}

impl Example for UnhealthyResponse {
    fn example() -> Self {
        let database = PartHealth { status: PartStatus::Down, latency_ms: 800 };
        let data = ServiceHealth {
            status: OverallStatus::Unhealthy,
            services: ServicesHealth { database, ..ServicesHealth::example() },
            ..ServiceHealth::example()
        };
        unhealthy(data, "01975b2e-7c40-7000-8000-000000000001".to_owned()).0
    }
}

impl Example for AppReleases {
    fn example() -> Self {
        Self { server_version: "0.1.0".to_owned(), platforms: vec![PlatformRelease::example()] }
    }
}
