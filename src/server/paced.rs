//! A request's body that must not come too slowly.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// As slow as a body may be in the long run, in bytes a second.
const FLOOR: u32 = 500;

/// The body of a request. Only waiting for it counts, not what is done with it meanwhile: waiting
/// uses up a client's time, each byte gives some back, and without any the body ends with
/// [`io::ErrorKind::TimedOut`].
pub(super) struct Paced {
    body: Incoming,
    /// The most that a client can have in hand.
    most: Duration,
    left: Duration,
    is_waiting: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// A client may fall behind by `most`.
    pub fn new(body: Incoming, most: Duration) -> Self {
        Self { body, most, left: most, is_waiting: false, timer: None }
    }

    /// Whether the client's time is up.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(left)));
        if !self.is_waiting {
            self.is_waiting = true;
            timer.as_mut().reset(Instant::now() + left);
        }
        timer.as_mut().poll(cx)
    }

    fn received(&mut self, bytes: usize) {
        if let Some(timer) = self.timer.as_ref().filter(|_| self.is_waiting) {
            self.left = timer.deadline().saturating_duration_since(Instant::now());
        }
        self.is_waiting = false;
        let earned = u32::try_from(bytes).map_or(self.most, |n| Duration::from_secs(1) * n / FLOOR);
        self.left = self.most.min(self.left + earned);
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.poll_late(cx));
            let late = io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly");
            return Poll::Ready(Some(Err(late)));
        };
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.received(bytes.map_or(0, Bytes::len));
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
