//! The outermost layer: request id, log line, limits, and the one way out for failures.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt};
use poem::{
    Body, Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    error::MethodNotAllowedError,
    http::{HeaderName, HeaderValue, Method, Uri, header},
};
use poem_openapi::error::ParseParamError;
use tracing::Instrument;

use super::{
    super::{document::Document, error, validation},
    path_words::PathWords,
};
use crate::{
    adapters::{clock::Clock, random::Random},
    services::{Code, FieldError, ServiceError},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, in its data.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub timeout: Duration,
    pub max_body_bytes: usize,
}

/// The layer.
pub struct Edge {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    documents: [Arc<Document>; 2],
    words: PathWords,
    random: Random,
    clock: Clock,
}

impl Edge {
    /// The documents tell which methods and parameters a route has.
    #[must_use]
    pub fn new(
        limits: Limits,
        documents: [Arc<Document>; 2],
        random: Random,
        clock: Clock,
    ) -> Self {
        let words = PathWords::of(documents.iter().flat_map(|document| document.paths()));
        Self { shared: Arc::new(Shared { limits, documents, words, random, clock }) }
    }
}

impl<E: Endpoint> Middleware<E> for Edge {
    type Output = EdgeEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        EdgeEndpoint { inner, shared: self.shared.clone() }
    }
}

/// What [`Edge`] makes of an endpoint.
pub struct EdgeEndpoint<E> {
    inner: E,
    shared: Arc<Shared>,
}

impl<E: Endpoint> Endpoint for EdgeEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let started = Instant::now();
        let id = self.request_id(&request);
        let method = known_method(request.method());
        let path = self.shared.words.path(request.uri().path());
        // Of the highest level, so that whatever is logged carries it.
        let span = tracing::error_span!("request", request_id = %id);
        let answer = async {
            let mut response = match self.guarded(request, &id).await {
                Ok(response) => response,
                Err(error) => error::render(&error, &id),
            };
            let headers = response.headers_mut();
            if let Ok(value) = HeaderValue::from_str(&id) {
                headers.insert(REQUEST_ID, value);
            }
            headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            let status = response.status().as_u16();
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(method, path, status, duration_ms, "answered");
            response
        };
        Ok(answer.instrument(span).await)
    }
}

impl<E: Endpoint> EdgeEndpoint<E> {
    /// A sane id that came with the request is kept.
    fn request_id(&self, request: &Request) -> String {
        let sane = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let given = request.header(REQUEST_ID).filter(sane).map(str::to_owned);
        given.unwrap_or_else(|| self.shared.random.id(self.shared.clock.now()).to_string())
    }

    async fn guarded(&self, mut request: Request, id: &str) -> Result<Response, ServiceError> {
        let limits = self.shared.limits;
        let declared = request.header(header::CONTENT_LENGTH).and_then(|v| v.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limits.max_body_bytes) {
            return Err(Code::TooLarge.into());
        }
        request.extensions_mut().insert(RequestId(id.to_owned()));
        let too_large = limit_body(&mut request, limits.max_body_bytes);
        let (method, uri) = (request.method().clone(), request.uri().clone());

        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        match tokio::time::timeout(limits.timeout, call).await {
            Err(_) => Err(Code::Timeout.into()),
            // The panic hook has logged it, inside this span.
            Ok(Err(_)) => Err(Code::Internal.into()),
            Ok(Ok(_)) if too_large.load(Ordering::Relaxed) => Err(Code::TooLarge.into()),
            Ok(Ok(Ok(output))) => Ok(output.into_response()),
            Ok(Ok(Err(error))) => self.failure(error, &method, &uri, id),
        }
    }

    fn failure(
        &self,
        error: poem::Error,
        method: &Method,
        uri: &Uri,
        id: &str,
    ) -> Result<Response, ServiceError> {
        let pattern = error.data::<PathPattern>().map(|pattern| pattern.0.to_string());
        let pattern = pattern.as_deref().unwrap_or_default();
        let documents = &self.shared.documents;
        if error.is::<MethodNotAllowedError>() {
            let allow = documents.iter().find_map(|document| document.allow(pattern));
            let allow = HeaderValue::from_str(allow.unwrap_or("GET, HEAD"));
            let mut response = error::render(&error::classify(error), id);
            if let Ok(allow) = allow {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            return Ok(response);
        }
        if let Some(first) = error.downcast_ref::<ParseParamError>() {
            let fault = FieldError::new(first.name, "invalid", "is not valid");
            let all = documents.iter().find_map(|document| {
                let operation = document.operation(method, pattern)?;
                Some(validation::check_query(document, operation, uri.query().unwrap_or_default()))
            });
            let all = all.filter(|faults| !faults.is_empty()).unwrap_or_else(|| vec![fault]);
            return Err(ServiceError::invalid(all));
        }
        Err(error::classify(error))
    }
}

/// The method's name; a caller may make up others (RFC 9110, 9.1), which the log need not hold.
fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
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
