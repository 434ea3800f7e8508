//! An answer's body on its way to the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::{streams::Stall, watched::InFlight};

/// What is handed to an HTTP/2 stream at a time: hyper keeps a frame that the client doesn't take
/// beyond the stream's own end.
const PIECE: usize = 16 * 1024;

/// The body of an answer; its request is in flight until the socket has got all of it.
pub(super) struct Answer<B> {
    body: B,
    /// Of the last frame.
    rest: Bytes,
    stall: Option<Arc<Stall>>,
    _in_flight: InFlight,
}

impl<B> Answer<B> {
    pub fn new(body: B, in_flight: InFlight) -> Self {
        let stall = Stall::of_stream();
        Self { body, rest: Bytes::new(), stall, _in_flight: in_flight }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(stall) = &this.stall else { return Pin::new(&mut this.body).poll_frame(cx) };
        stall.taken();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)).map(|f| f.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => this.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        stall.given();
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
