//! What one request may take: how large its body, how long its answer. A panic ends here too.

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_compression::tokio::bufread::GzipDecoder;
use futures_util::{FutureExt, Stream, stream};
use poem::{Body, Endpoint, Middleware, Request, Result, http::header};
use tokio::io::BufReader;

use super::declared_length;
use crate::{api::error::ApiError, services::Code};

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub timeout: Duration,
    pub max_body_bytes: usize,
    /// What one that uploads a file may take.
    pub upload_timeout: Duration,
    pub max_upload_bytes: usize,
}

impl Limits {
    /// What a request to this path may take: how long, and how large a body.
    fn of(&self, path: &str) -> (Duration, usize) {
        let file =
            path.strip_prefix("/api/v1/files/").and_then(|rest| rest.strip_suffix("/content"));
        match file {
            Some(_) => (self.upload_timeout, self.max_upload_bytes),
            None => (self.timeout, self.max_body_bytes),
        }
    }
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
        let (timeout, max_body_bytes) = self.limits.of(request.uri().path());
        if declared_length(&request).is_some_and(|length| length > max_body_bytes) {
            return Err(ApiError::from(Code::TooLarge).into());
        }
        let is_compressed = is_gzip(&request)?;
        let progress = limit_body(&mut request, max_body_bytes, is_compressed);
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        match tokio::time::timeout(timeout, call).await {
            Err(_) if progress.is_awaited.load(Ordering::Relaxed) => {
                Err(ApiError::from(Code::SlowBody).into())
            }
            Err(_) => Err(ApiError::from(Code::Timeout).into()),
            // The panic hook has logged it, inside the request's span.
            Ok(Err(_)) => Err(ApiError::from(Code::Internal).into()),
            Ok(Ok(_)) if progress.is_too_large.load(Ordering::Relaxed) => {
                Err(ApiError::from(Code::TooLarge).into())
            }
            Ok(Ok(outcome)) => outcome,
        }
    }
}

/// Whether the body is compressed.
///
/// gzip needs no more than 32 KiB to be undone. What other codings need is chosen by the sender,
/// up to 16 MiB with brotli, so they aren't taken.
fn is_gzip(request: &Request) -> Result<bool, ApiError> {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let coding = match (codings.next(), codings.next()) {
        (None, _) => return Ok(false),
        (Some(only), None) => only.to_str().unwrap_or_default().to_ascii_lowercase(),
        (Some(_), Some(_)) => return Err(Code::UnsupportedEncoding.into()),
    };
    match coding.as_str() {
        "" | "identity" => Ok(false),
        // RFC 9110, 8.4.1.3.
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Code::UnsupportedEncoding.into()),
    }
}

/// How the reading of a body goes.
#[derive(Debug, Default)]
struct Progress {
    is_too_large: AtomicBool,
    /// The client's turn: more of it must come.
    is_awaited: AtomicBool,
}

/// Ends the body at the limit. A compressed one is undone as it is read, and counted before and
/// after that: a thousand bytes of it can stand for a million.
fn limit_body(request: &mut Request, limit: usize, is_compressed: bool) -> Arc<Progress> {
    let progress = Arc::new(Progress::default());
    let mut body = counted(request.take_body(), limit, progress.clone());
    if is_compressed {
        let mut plain = GzipDecoder::new(BufReader::new(body.into_async_read()));
        plain.multiple_members(true);
        body = counted(Body::from_async_read(plain), limit, progress.clone());
        // They were the compressed body's.
        request.headers_mut().remove(header::CONTENT_ENCODING);
        request.headers_mut().remove(header::CONTENT_LENGTH);
    }
    request.set_body(body);
    progress
}

/// Counts a body as it is read, chunked ones too.
fn counted(body: Body, limit: usize, progress: Arc<Progress>) -> Body {
    let mut seen = 0_usize;
    let mut body = Box::pin(body.into_bytes_stream());
    Body::from_bytes_stream(stream::poll_fn(move |cx| {
        let polled = body.as_mut().poll_next(cx);
        progress.is_awaited.store(polled.is_pending(), Ordering::Relaxed);
        polled
            .map_ok(|chunk| {
                seen = seen.saturating_add(chunk.len());
                chunk
            })
            .map(|next| match next {
                Some(Ok(_)) if seen > limit => {
                    progress.is_too_large.store(true, Ordering::Relaxed);
                    Some(Err(io::Error::other("the body is larger than the limit")))
                }
                next => next,
            })
    }))
}
