//! The end of a connection, once everything is sent: what still comes is thrown away.
//!
//! A socket that is closed while its client sends resets the connection, and the client loses its
//! last answer, such as that its body is too large (RFC 9112, 9.6).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long a client that has its last answer may be silent and not hang up.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// Waits for the client to hang up.
pub(super) struct Closing {
    end: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Closing {
    /// However steadily the client sends, it is cut after `limit`.
    pub fn new(limit: Duration) -> Self {
        let (now, end) = (Instant::now(), Instant::now() + limit);
        Self { end, timer: Box::pin(sleep_until(end.min(now + GOODBYE))) }
    }

    /// Done when the client has hung up, or has to be cut.
    pub fn poll(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut thrown_away = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match Pin::new(&mut *socket).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let silent = Instant::now() + GOODBYE;
                    self.timer.as_mut().reset(silent.min(self.end));
                }
                // A client that is gone, however, is what is waited for.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.timer.as_mut().poll(cx),
            }
        }
    }
}
