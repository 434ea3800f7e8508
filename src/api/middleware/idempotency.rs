//! Ends what a request with an `Idempotency-Key` has begun: effect and answer become durable
//! together, or neither does. Such a request's handler takes an
//! [`IdempotencyKey`](crate::api::idempotency::IdempotencyKey).

use std::sync::{Arc, OnceLock};

use poem::{
    Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    error::ResponseError,
    http::{HeaderName, HeaderValue, StatusCode},
};
use tracing::Instrument;

use super::{super::error, edge::RequestId};
use crate::{
    api::error::ApiError,
    db::{Actor, Tx, UnitOfWork},
    services::{
        Core, ServiceError,
        idempotency::{self, Claim, KeptAnswer},
    },
    telemetry::Chain,
};

/// The header of the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The largest answer that is kept, in bytes. A handler with a larger one must not take keys.
const MAX_ANSWER: usize = 64 * 1024;

/// What the parts of one request with a key share.
#[derive(Clone)]
pub struct Exchange(Arc<Shared>);

struct Shared {
    unit: UnitOfWork,
    actor: OnceLock<Actor>,
    claim: OnceLock<Claim>,
}

impl Exchange {
    fn new() -> Self {
        let (actor, claim) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Shared { unit: UnitOfWork::new(), actor, claim }))
    }

    /// What the changes of this caller are part of.
    pub(in crate::api) fn unit_of(&self, actor: Actor) -> UnitOfWork {
        if actor.account_id().is_some() {
            self.0.actor.get_or_init(|| actor);
        }
        self.0.unit.clone()
    }

    /// Who has signed in; nobody before the auth extractor.
    pub(in crate::api) fn actor(&self) -> Actor {
        self.0.actor.get().copied().unwrap_or(Actor::Anonymous)
    }

    /// From now on the changes wait for the answer.
    pub(in crate::api) fn hold(&self, claim: Claim) {
        self.0.claim.get_or_init(|| claim);
        self.0.unit.hold();
    }
}

/// Stops a handler whose answer is known.
#[derive(Debug, thiserror::Error)]
#[error("answered before")]
pub(in crate::api) struct Replay(pub KeptAnswer);

impl ResponseError for Replay {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn as_response(&self) -> Response {
        let mut response = Response::builder().status(self.status()).body(self.0.body.clone());
        for (name, value) in &self.0.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                response.headers_mut().append(name, value);
            }
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// The layer. Inside the time limit, and outside of everything that answers.
pub struct Idempotency {
    core: Arc<Core>,
}

impl Idempotency {
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl<E: Endpoint> Middleware<E> for Idempotency {
    type Output = IdempotencyEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        IdempotencyEndpoint { inner, core: self.core.clone() }
    }
}

/// What [`Idempotency`] makes of an endpoint.
pub struct IdempotencyEndpoint<E> {
    inner: E,
    core: Arc<Core>,
}

impl<E: Endpoint> Endpoint for IdempotencyEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        if !request.headers().contains_key(KEY) {
            return self.inner.call(request).await.map(IntoResponse::into_response);
        }
        let id = request.data::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let exchange = Exchange::new();
        request.extensions_mut().insert(exchange.clone());
        let mut ending = Ending { core: self.core.clone(), exchange, is_settled: false };
        match self.inner.call(request).await.map(IntoResponse::into_response) {
            Err(error) if error.is::<Replay>() => Ok(error.into_response()),
            outcome => ending.settle(outcome, &id).await,
        }
    }
}

/// Sees to it that a key is given back, also when the request is dropped half-way.
struct Ending {
    core: Arc<Core>,
    exchange: Exchange,
    is_settled: bool,
}

impl Ending {
    async fn settle(&mut self, outcome: Result<Response>, request_id: &str) -> Result<Response> {
        let Some(claim) = self.exchange.0.claim.get().copied() else { return outcome };
        let work = self.exchange.0.unit.end();
        let is_fault = match &outcome {
            Ok(response) => response.status().is_server_error(),
            Err(error) => error.status().is_server_error(),
        };
        match (outcome, work) {
            // The key is given back by `drop`, which nobody has to wait for.
            (outcome, _) if is_fault => outcome,
            (Ok(response), Ok(work)) => self.keep(claim, work, response).await,
            (Ok(_), Err(lost)) => Err(ApiError(ServiceError::internal(lost)).into()),
            // A failure that leaves something behind, such as a counted try, is an answer too.
            (Err(failure), Ok(Some(tx))) => {
                self.keep(claim, Some(tx), failed(failure, request_id)).await
            }
            (Err(failure), _) => {
                release(&self.core, claim).await;
                self.is_settled = true;
                Err(failure)
            }
        }
    }

    async fn keep(
        &mut self,
        claim: Claim,
        work: Option<Tx>,
        mut response: Response,
    ) -> Result<Response> {
        let answer = kept(&mut response).await?;
        idempotency::keep(&self.core, claim, work, &answer).await.map_err(ApiError)?;
        self.is_settled = true;
        response.set_body(answer.body);
        Ok(response)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let claim = self.exchange.0.claim.get().copied().filter(|_| !self.is_settled);
        if let Some(claim) = claim
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(self.exchange.0.unit.end());
            let core = self.core.clone();
            let release = async move { release(&core, claim).await };
            runtime.spawn(release.in_current_span());
        }
    }
}

async fn release(core: &Core, claim: Claim) {
    if let Err(error) = idempotency::release(core, claim).await {
        tracing::debug!("an idempotency key waits for the end of its lease: {}", Chain(&error));
    }
}

/// A failure as it is kept. Its body names this request, in whose log lines the cause stands.
fn failed(failure: poem::Error, request_id: &str) -> Response {
    let pattern = failure.data::<PathPattern>().cloned();
    let mut response = error::render(&error::classify(failure), request_id);
    if let Some(pattern) = pattern {
        response.set_data(pattern);
    }
    response
}

/// Takes what is kept of an answer out of it.
async fn kept(response: &mut Response) -> Result<KeptAnswer, ApiError> {
    let read = response.take_body().into_bytes_limit(MAX_ANSWER).await;
    let body = read.map_err(ServiceError::internal)?;
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    Ok(KeptAnswer {
        status: response.status().as_u16(),
        headers: response.headers().iter().filter_map(text).collect(),
        body: String::from_utf8(body.into()).map_err(ServiceError::internal)?,
    })
}
