//! What one request may take: how large its body, how long its answer. A panic ends here too.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use poem::{Body, Endpoint, Middleware, Request, Result, http::header};

use crate::{api::error::ApiError, services::Code};

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub timeout: Duration,
    pub max_body_bytes: usize,
}

impl<E: Endpoint> Middleware<E> for Limits {
    type Output = Limited<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Limited { inner, limits: *self }
    }
}

/// What [`Limits`] makes of an endpoint.
pub struct Limited<E> {
    inner: E,
    limits: Limits,
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        let limits = self.limits;
        let declared = request.header(header::CONTENT_LENGTH).and_then(|v| v.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limits.max_body_bytes) {
            return Err(ApiError::from(Code::TooLarge).into());
        }
        let too_large = limit_body(&mut request, limits.max_body_bytes);
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        match tokio::time::timeout(limits.timeout, call).await {
            Err(_) => Err(ApiError::from(Code::Timeout).into()),
            // The panic hook has logged it, inside the request's span.
            Ok(Err(_)) => Err(ApiError::from(Code::Internal).into()),
            Ok(Ok(_)) if too_large.load(Ordering::Relaxed) => {
                Err(ApiError::from(Code::TooLarge).into())
            }
            Ok(Ok(outcome)) => outcome,
        }
    }
}

/// Counts the body as it is read, chunked ones too, and ends it at the limit.
fn limit_body(request: &mut Request, limit: usize) -> Arc<AtomicBool> {
    let exceeded = Arc::new(AtomicBool::new(false));
    let (flag, mut seen) = (exceeded.clone(), 0_usize);
    let chunks = request.take_body().into_bytes_stream().map(move |chunk| {
        let chunk = chunk?;
        seen = seen.saturating_add(chunk.len());
        if seen > limit {
            flag.store(true, Ordering::Relaxed);
            return Err(std::io::Error::other("the body is larger than the limit"));
        }
        Ok(chunk)
    });
    request.set_body(Body::from_bytes_stream(chunks));
    exceeded
}
