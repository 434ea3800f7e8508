//! What is too much is refused at once, so that the rest is answered in time.
//!
//! So many requests are worked on at a time; the others wait for a moment, in order, and are then
//! refused. The wait is too short for its order to matter: none of those that get a turn has
//! waited longer than callers notice, so there is nothing to gain from serving the newest first.
//! Large bodies come in while their requests have a turn, so that only a quarter of the turns is
//! theirs: they can be sent slowly, too. With the half that waits for passwords at most, others are
//! left a quarter.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use poem::{Endpoint, Middleware, Request, Result};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout_at,
};

use super::{queue::Queue, receiving::Receiving};
use crate::{api::error::ApiError, services::Code};

/// So many times as many may wait as are worked on, at first.
const QUEUE: usize = 32;

/// How many requests are let in.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Worked on at a time.
    pub max_in_flight: usize,
    /// How long another one waits for its turn.
    pub wait: Duration,
}

/// The layer.
pub struct Overload {
    shared: Arc<Shared>,
}

struct Shared {
    turns: Semaphore,
    /// Of those, how many requests with large bodies may have.
    large: Semaphore,
    receiving: Receiving,
    /// Who finds no place is refused without a wait.
    queue: Queue,
    wait: Duration,
    /// Paths that are answered in any case.
    always: &'static [&'static str],
}

impl Overload {
    /// A process that is busy must not be taken for a dead one: `always` names the paths of those
    /// who ask.
    #[must_use]
    pub fn new(capacity: Capacity, always: &'static [&'static str]) -> Self {
        let shared = Shared {
            turns: Semaphore::new(capacity.max_in_flight),
            large: Semaphore::new(capacity.max_in_flight.div_ceil(4)),
            receiving: Receiving::default(),
            queue: Queue::new(capacity.wait, QUEUE * capacity.max_in_flight),
            wait: capacity.wait,
            always,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl<E: Endpoint> Middleware<E> for Overload {
    type Output = OverloadEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        OverloadEndpoint { inner, shared: self.shared.clone() }
    }
}

/// What [`Overload`] makes of an endpoint.
pub struct OverloadEndpoint<E> {
    inner: E,
    shared: Arc<Shared>,
}

impl<E: Endpoint> Endpoint for OverloadEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        if self.shared.always.contains(&request.uri().path()) {
            return self.inner.call(request).await;
        }
        let is_large = self.shared.receiving.receive(&mut request).await?;
        let Some(_turn) = self.shared.turn(is_large).await else {
            return Err(ApiError::from(Code::Busy).into());
        };
        self.inner.call(request).await
    }
}

/// Given back when it is dropped.
struct Turn<'a> {
    _permits: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

impl Shared {
    /// A turn, if there is one in time.
    async fn turn(&self, is_large: bool) -> Option<Turn<'_>> {
        let now = Instant::now();
        let end = now + self.wait;
        let large = if is_large {
            Some(timeout_at(end.into(), self.large.acquire()).await.ok()?.ok()?)
        } else {
            None
        };
        let mut turn = pin!(self.turns.acquire());
        let given = if let Some(given) = (&mut turn).now_or_never() {
            given
        } else {
            let _place = self.queue.enter(now)?;
            timeout_at(end.into(), turn).await.ok()?
        };
        self.queue.gave();
        Some(Turn { _permits: (given.ok()?, large) })
    }
}

#[cfg(test)]
mod tests {
    use poem::{EndpointExt, endpoint::make, http::Uri};

    use super::*;

    /// Its server drops the call of a caller who has gone.
    #[tokio::test]
    async fn a_call_that_is_dropped_gives_its_turn_back() {
        let capacity = Capacity { max_in_flight: 1, wait: Duration::ZERO };
        let endpoint = make(async |request: Request| {
            if request.uri().path() == "/stuck" {
                std::future::pending::<()>().await;
            }
        });
        let endpoint = endpoint.with(Overload::new(capacity, &[]));
        let call = |path| endpoint.call(Request::builder().uri(Uri::from_static(path)).finish());

        let mut stuck = Box::pin(call("/stuck"));
        assert!((&mut stuck).now_or_never().is_none());
        assert!(call("/").await.is_err(), "there is one turn only");
        drop(stuck);
        assert!(call("/").await.is_ok());
    }
}
