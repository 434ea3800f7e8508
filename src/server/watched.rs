//! Deadlines of a connection, by what its socket and its requests do.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};

use super::{Limits, closing::Closing};

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// A handshake or the head of a request took too long.
    Head,
    /// Nothing was asked for.
    Idle,
    /// The client takes nothing of what is sent to it.
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Something must come: a handshake, a preface, the rest of a request's head.
    Head { since: Instant },
    /// Requests are worked on or answered, however long that takes.
    Busy { requests: usize },
    /// Between requests.
    Idle { since: Instant },
}

#[derive(Debug)]
struct State {
    phase: Phase,
    is_http2: bool,
    /// Since when the socket takes no more of what is sent.
    blocked: Option<Instant>,
}

/// What one connection is doing.
///
/// After the first request of an HTTP/2 connection its bytes no longer tell whether they begin a
/// request: one that never completes there counts as idle.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

impl Activity {
    /// Of a client that has just connected.
    pub fn new() -> Arc<Self> {
        let phase = Phase::Head { since: Instant::now() };
        Arc::new(Self(Mutex::new(State { phase, is_http2: false, blocked: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handshake is done: the time for the first request begins.
    pub fn secured(&self) {
        self.state().phase = Phase::Head { since: Instant::now() };
    }

    /// The connection is about to end: being idle counts from now.
    pub fn is_ending(&self) {
        if let Phase::Idle { since } = &mut self.state().phase {
            *since = Instant::now();
        }
    }

    /// A request has come, complete but for its body. It is in flight until the guard is gone.
    pub fn begin(self: &Arc<Self>, is_http2: bool) -> InFlight {
        let mut state = self.state();
        state.is_http2 = is_http2;
        let others = if let Phase::Busy { requests } = state.phase { requests } else { 0 };
        state.phase = Phase::Busy { requests: others + 1 };
        InFlight(self.clone())
    }

    fn received(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Idle { .. }) && !state.is_http2 {
            state.phase = Phase::Head { since: Instant::now() };
        }
    }

    fn blocked(&self, is_blocked: bool) {
        let mut state = self.state();
        let now = Instant::now();
        state.blocked = is_blocked.then_some(now);
        // An answer that is still being taken is no idleness.
        if let Phase::Idle { since } = &mut state.phase {
            *since = now;
        }
    }

    /// The next deadline, if one is running.
    fn deadline(&self, limits: &Limits) -> Option<(Instant, Late)> {
        let state = self.state();
        let write = state.blocked.map(|since| (since + limits.write, Late::Write));
        let phase = match state.phase {
            Phase::Head { since } => Some((since + limits.read, Late::Head)),
            Phase::Idle { since } if write.is_none() => Some((since + limits.idle, Late::Idle)),
            Phase::Idle { .. } | Phase::Busy { .. } => None,
        };
        phase.into_iter().chain(write).min_by_key(|(deadline, _)| *deadline)
    }

    /// Resolves when a deadline has passed.
    pub async fn late(&self, limits: &Limits) -> Late {
        // Looking this often misses none, and what happens meanwhile needs no timer.
        let step = limits.read.min(limits.write).min(limits.idle);
        loop {
            let now = Instant::now();
            let look_again = match self.deadline(limits) {
                Some((deadline, late)) if deadline <= now => return late,
                Some((deadline, _)) => deadline.min(now + step),
                None => now + step,
            };
            sleep_until(look_again).await;
        }
    }
}

/// Held while a request is worked on or answered.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.phase = match state.phase {
            Phase::Busy { requests } if requests > 1 => Phase::Busy { requests: requests - 1 },
            _ => Phase::Idle { since: Instant::now() },
        };
    }
}

/// A socket that tells an [`Activity`] what goes through it.
pub(super) struct Watched<S> {
    socket: S,
    activity: Arc<Activity>,
    is_blocked: bool,
    /// How long the client may go on sending when all is said.
    linger: Duration,
    closing: Option<Closing>,
}

impl<S> Watched<S> {
    pub fn new(socket: S, activity: Arc<Activity>, linger: Duration) -> Self {
        Self { socket, activity, is_blocked: false, linger, closing: None }
    }

    fn noticed<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if self.is_blocked != written.is_pending() {
            self.is_blocked = written.is_pending();
            self.activity.blocked(self.is_blocked);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.noticed(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.noticed(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    // A socket holds nothing back, so that this doesn't wait for its client.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Says that nothing more is sent, and ends when the client hangs up.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        let closing = this.closing.get_or_insert_with(|| Closing::new(this.linger));
        closing.poll(&mut this.socket, cx).map(Ok)
    }
}
