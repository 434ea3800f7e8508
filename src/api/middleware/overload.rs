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
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use poem::{Request, Result};
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

/// Lets requests in.
pub struct Overload {
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
        Self {
            turns: Semaphore::new(capacity.max_in_flight),
            large: Semaphore::new(capacity.max_in_flight.div_ceil(4)),
            receiving: Receiving::default(),
            queue: Queue::new(capacity.wait, QUEUE * capacity.max_in_flight),
            wait: capacity.wait,
            always,
        }
    }

    /// Waits for a turn, which the request has until it is dropped. Those who ask whether the
    /// process is alive need none.
    ///
    /// # Errors
    /// [`Code::Busy`] when there is none in time. When the client is too slow, or breaks off.
    pub async fn admit(&self, request: &mut Request) -> Result<Option<Turn<'_>>> {
        if self.always.contains(&request.uri().path()) {
            return Ok(None);
        }
        let is_large = self.receiving.receive(request).await?;
        let turn = self.turn(is_large).await;
        Ok(Some(turn.ok_or_else(|| ApiError::from(Code::Busy))?))
    }

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

/// Whether a request was not admitted because there are too many.
pub fn is_refusal(error: &poem::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| error.0.code == Code::Busy)
}

/// Given back when it is dropped.
pub struct Turn<'a> {
    _permits: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server drops the call of a caller who has gone.
    #[tokio::test]
    async fn who_goes_gives_the_turn_or_the_place_back() {
        let capacity = Capacity { max_in_flight: 1, wait: Duration::from_mins(1) };
        let overload = Overload::new(capacity, &[]);
        let mut requests = [Request::default(), Request::default(), Request::default()];
        let [first, second, third] = &mut requests;
        let turn = overload.admit(first).await;
        assert!(turn.is_ok());
        let mut waiting = Box::pin(overload.admit(second));
        assert!((&mut waiting).now_or_never().is_none(), "there is one turn only");
        drop(waiting);
        drop(turn);
        assert!(overload.admit(third).now_or_never().is_some_and(|turn| turn.is_ok()));
    }
}
