//! What orchestrators ask: is the process alive, and can it take traffic?

use std::sync::Arc;

use poem::{handler, web::Data};
use poem_openapi::{Object, payload::Json, types::Example};

use super::envelope::ApiResponse;
use crate::services::{Code, Core};

/// The answer of a probe.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Probe {
    /// What was asked for.
    pub status: String,
}

impl Example for Probe {
    fn example() -> Self {
        Self { status: "alive".to_owned() }
    }
}

fn probe(status: &str) -> Json<ApiResponse<Probe>> {
    ApiResponse::success(Probe { status: status.to_owned() })
}

/// The process runs; nothing behind it is asked.
#[handler]
pub async fn live() -> Json<ApiResponse<Probe>> {
    probe("alive")
}

/// The process can take traffic: not while it shuts down, and not without its database.
#[handler]
pub async fn ready(core: Data<&Arc<Core>>) -> poem::Result<Json<ApiResponse<Probe>>> {
    if core.health.is_ready(core.0).await {
        Ok(probe("ready"))
    } else {
        Err(super::error::ApiError::from(Code::Unavailable).into())
    }
}
