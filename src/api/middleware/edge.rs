//! The outermost layer: request id and log line.

use std::{sync::Arc, time::Instant};

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderName, HeaderValue, Method, header},
};
use tracing::Instrument;

use super::{super::document::Document, path_words::PathWords, refusals::Refused};
use crate::adapters::{clock::Clock, random::Random};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, in its data.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The layer.
pub struct Edge {
    shared: Arc<Shared>,
}

struct Shared {
    words: PathWords,
    random: Random,
    clock: Clock,
}

impl Edge {
    /// The documents tell which words a path may have in the log.
    #[must_use]
    pub fn new(documents: &[Arc<Document>], random: Random, clock: Clock) -> Self {
        let words = PathWords::of(documents.iter().flat_map(|document| document.paths()));
        Self { shared: Arc::new(Shared { words, random, clock }) }
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

    async fn call(&self, mut request: Request) -> Result<Response> {
        let started = Instant::now();
        let id = self.request_id(&request);
        let method = known_method(request.method());
        let path = self.shared.words.path(request.uri().path());
        // Of the highest level, so that whatever is logged carries it.
        let span = tracing::error_span!("request", request_id = %id);
        let value = HeaderValue::from_str(&id);
        request.extensions_mut().insert(RequestId(id));
        let answer = async {
            let mut response = self.inner.call(request).await?.into_response();
            let headers = response.headers_mut();
            if let Ok(value) = value {
                headers.insert(REQUEST_ID, value);
            }
            headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            let status = response.status().as_u16();
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            if response.data::<Refused>().is_some() {
                tracing::debug!(method, path, status, duration_ms, "refused");
            } else {
                tracing::info!(method, path, status, duration_ms, "answered");
            }
            Ok(response)
        };
        answer.instrument(span).await
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
}

/// The method's name; a caller may make up others (RFC 9110, 9.1), which the log need not hold.
fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}
