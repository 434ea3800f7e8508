//! The outermost layer: request id, log line, a turn, and the headers that every answer has.
//!
//! When there is too much to do, most requests end here, so a refusal must be cheap: what it
//! doesn't need is further in, and this is one layer instead of several.

use std::time::Instant;

use poem::{
    Endpoint, IntoResponse, Request, Response, Result,
    http::{HeaderName, HeaderValue, Method, header},
};
use tracing::Instrument;

use super::{
    cors::Cors,
    failures::Failures,
    headers::SecurityHeaders,
    overload::{Overload, Turn, is_refusal},
    path_words::PathWords,
    refusals::Refused,
    routes::Routes,
};
use crate::{
    adapters::{clock::Clock, random::Random},
    telemetry::metrics::Metrics,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, in its data.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The layer.
pub struct Edge<E> {
    pub inner: E,
    pub ids: Ids,
    pub metrics: Metrics,
    pub routes: Routes,
    pub words: PathWords,
    pub overload: Overload,
    pub failures: Failures,
    pub cors: Cors,
    pub headers: SecurityHeaders,
}

/// What the ids of requests are made from.
pub struct Ids {
    pub random: Random,
    pub clock: Clock,
}

impl<E: Endpoint> Endpoint for Edge<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let started = Instant::now();
        let told = self.cors.told(&request);
        let id = self.ids.of(&request);
        let value = HeaderValue::from_str(&id);
        let mut response = match self.overload.admit(&mut request).await {
            Err(busy) if is_refusal(&busy) && !tracing::enabled!(tracing::Level::DEBUG) => {
                self.metrics.refused();
                self.failures.refuse(&id)
            }
            admitted => {
                // Of the highest level, so that whatever is logged carries it.
                let span = tracing::error_span!("request", request_id = %id);
                self.answer(request, id, admitted, started).instrument(span).await?
            }
        };
        let headers = response.headers_mut();
        if let Ok(value) = value {
            headers.insert(REQUEST_ID, value);
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        told.add(headers);
        self.headers.add(headers);
        Ok(response)
    }
}

impl<E: Endpoint> Edge<E> {
    /// The answer to whom there is a turn for, or to whom there is none, and its line in the log.
    async fn answer(
        &self,
        mut request: Request,
        id: String,
        admitted: Result<Option<Turn<'_>>>,
        started: Instant,
    ) -> Result<Response> {
        let method = known_method(request.method());
        let path = self.words.path(request.uri().path());
        let response = match admitted {
            Ok(_turn) => {
                request.extensions_mut().insert(RequestId(id));
                self.inner.call(request).await?.into_response()
            }
            Err(error) => self.failures.answer(error, &id),
        };
        let (status, took) = (response.status().as_u16(), started.elapsed());
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if response.data::<Refused>().is_some() {
            self.metrics.refused();
            tracing::debug!(method, path, status, duration_ms, "refused");
        } else {
            self.metrics.answered(method, self.routes.matched_by(&response), status, took);
            tracing::info!(method, path, status, duration_ms, "answered");
        }
        Ok(response)
    }
}

impl Ids {
    /// A sane id that came with the request is kept.
    fn of(&self, request: &Request) -> String {
        let sane = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let given = request.header(REQUEST_ID).filter(sane).map(str::to_owned);
        given.unwrap_or_else(|| self.random.id(self.clock.now()).to_string())
    }
}

/// The method's name; a caller may make up others (RFC 9110, 9.1), which the log need not hold.
fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}
