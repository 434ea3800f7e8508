//! Metrics for Prometheus, on a listener of their own that isn't public.

use poem::{
    Endpoint, Request, Response, Result,
    http::{Method, StatusCode, header},
};

use crate::telemetry::metrics::{CONTENT_TYPE, Metrics};

/// Answers at `/metrics`, and nowhere else.
pub struct MetricsEndpoint(pub Metrics);

impl Endpoint for MetricsEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if request.uri().path() != "/metrics" {
            return Ok(StatusCode::NOT_FOUND.into());
        }
        if request.method() != Method::GET {
            let refusal = Response::builder().status(StatusCode::METHOD_NOT_ALLOWED);
            return Ok(refusal.header(header::ALLOW, "GET").finish());
        }
        Ok(match self.0.render().await {
            Ok(text) => Response::builder().content_type(CONTENT_TYPE).body(text),
            Err(error) => {
                tracing::error!("metrics can't be written: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into()
            }
        })
    }
}
