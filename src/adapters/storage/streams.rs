//! Objects that are written while they come in.

use std::{
    io, mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as Waiting, Poll, ready},
    time::Duration,
};

use aws_sdk_s3::primitives::ByteStream;
use futures_util::Stream;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use ring::digest::{Context, SHA256};

use super::{Storage, StorageError, WRITE, objects::START, step_within};

type Incoming = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its first kilobytes.
    pub start: Vec<u8>,
    pub sha256: [u8; 32],
}

/// Why an object was not written.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Who sent it was too slow, or broke off.
    #[error("the body ended early")]
    Incoming(#[source] io::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is seen of the bytes as they go by.
struct Seen {
    start: Vec<u8>,
    digest: Context,
    failure: Option<io::Error>,
}

/// The body of the request to the storage. No call of two threads meets in it, which the lock is only to prove.
struct Passing {
    incoming: Mutex<Incoming>,
    left: u64,
    seen: Arc<Mutex<Seen>>,
}

impl Storage {
    /// Makes an object of `size` bytes while they come in; little of them is in memory at a time.
    ///
    /// # Errors
    /// [`StreamError`]
    pub async fn put_stream(
        &self,
        key: &str,
        (content_type, size): (&str, i64),
        incoming: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        limit: Duration,
    ) -> Result<Received, StreamError> {
        let seen = Seen { start: Vec::new(), digest: Context::new(&SHA256), failure: None };
        let seen = Arc::new(Mutex::new(seen));
        let passing = Passing {
            incoming: Mutex::new(Box::pin(incoming)),
            left: u64::try_from(size).unwrap_or_default(),
            seen: seen.clone(),
        };
        let put = self.client.put_object().bucket(&self.bucket).key(self.key(key));
        let put = put.content_type(content_type).content_length(size);
        // What is not here yet can't be signed.
        let put =
            put.body(ByteStream::from_body_1_x(passing)).customize().disable_payload_signing();
        let outcome = step_within(limit, WRITE, put.send()).await;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = seen.failure.take() {
            return Err(StreamError::Incoming(failure));
        }
        outcome?;
        let digest = mem::replace(&mut seen.digest, Context::new(&SHA256)).finish();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest.as_ref());
        Ok(Received { start: mem::take(&mut seen.start), sha256 })
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        waiting: &mut Waiting<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let incoming = self.incoming.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = ready!(incoming.as_mut().poll_next(waiting));
        let seen = self.seen.clone();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match next {
            Some(Ok(bytes)) => {
                seen.take_note(&bytes);
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Err(error)) => {
                let kind = error.kind();
                seen.failure = Some(error);
                Poll::Ready(Some(Err(kind.into())))
            }
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Seen {
    fn take_note(&mut self, bytes: &[u8]) {
        let wanted = usize::try_from(START).unwrap_or_default();
        let missing = wanted.saturating_sub(self.start.len()).min(bytes.len());
        self.start.extend_from_slice(&bytes[..missing]);
        self.digest.update(bytes);
    }
}
