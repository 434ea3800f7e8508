//! The client API while staff have closed it: 503, with what they say. Whether the service works, and which
//! release an app needs, is told all the same.

use std::{sync::Arc, time::Duration};

use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};

use crate::{
    api::error::ApiError,
    services::{Core, ServiceError, live_settings::Maintenance as Closed},
};

/// What stays open, by the path within the version.
const OPEN: &str = "/config/";

/// The layer.
pub struct Maintenance(pub Arc<Core>);

impl<E: Endpoint> Middleware<E> for Maintenance {
    type Output = MaintenanceEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        MaintenanceEndpoint { inner, core: self.0.clone() }
    }
}

/// What [`Maintenance`] makes of an endpoint.
pub struct MaintenanceEndpoint<E> {
    inner: E,
    core: Arc<Core>,
}

impl<E: Endpoint> Endpoint for MaintenanceEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if !request.uri().path().starts_with(OPEN) {
            let maintenance = self.core.live_settings.get::<Closed>(&self.core).await.value;
            if maintenance.enabled {
                let wait = Duration::from_secs(maintenance.retry_after_seconds.into());
                let error = ServiceError::maintenance(maintenance.message, wait);
                return Err(ApiError(error).into());
            }
        }
        Ok(self.inner.call(request).await?.into_response())
    }
}
