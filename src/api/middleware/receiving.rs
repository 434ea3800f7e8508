//! What a request brings is received before its turn: a client that sends slowly keeps nobody else
//! waiting.

use futures_util::{StreamExt, stream};
use poem::{Body, Request, error::ReadBodyError};
use tokio::sync::Semaphore;

use super::declared_length;

/// So much is received of a request that has no turn: what most requests have.
const AHEAD: usize = 16 * 1024;
/// So many are received at a time, which takes 64 MiB at most. An HTTP/2 connection alone can begin
/// hundreds.
const AT_ONCE: usize = 4096;

/// Receives small bodies.
pub(super) struct Receiving(Semaphore);

impl Default for Receiving {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Receiving {
    /// Receives the body, if it is small and there is a place for it; whether more is to come.
    ///
    /// # Errors
    /// When the client is too slow, or breaks off.
    pub async fn receive(&self, request: &mut Request) -> Result<bool, ReadBodyError> {
        let body = request.take_body();
        if body.is_empty() {
            return Ok(false);
        }
        let place = self.0.try_acquire();
        if place.is_err() || declared_length(request).is_some_and(|length| length > AHEAD) {
            request.set_body(body);
            return Ok(true);
        }
        let (body, is_large) = ahead(body).await?;
        request.set_body(body);
        Ok(is_large)
    }
}

/// The same body, most of which is here already, and whether more is to come.
async fn ahead(body: Body) -> Result<(Body, bool), ReadBodyError> {
    let mut rest = Box::pin(body.into_bytes_stream());
    // Copied, as small pieces keep the buffers of a connection.
    let mut start = Vec::new();
    while let Some(piece) = rest.next().await {
        let piece = piece.map_err(ReadBodyError::Io)?;
        if start.len() + piece.len() > AHEAD {
            let here = stream::iter([Ok(start.into()), Ok(piece)]);
            return Ok((Body::from_bytes_stream(here.chain(rest)), true));
        }
        start.extend_from_slice(&piece);
    }
    Ok((start.into(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn receive(receiving: &Receiving, body: &'static str) -> (bool, String) {
        // A stream says nothing of its length.
        let pieces = body.as_bytes().chunks(1000).map(Ok::<_, std::io::Error>);
        let mut request = Request::builder().body(Body::from_bytes_stream(stream::iter(pieces)));
        let is_more = receiving.receive(&mut request).await.expect("received");
        (is_more, request.take_body().into_string().await.expect("text"))
    }

    #[tokio::test]
    async fn no_byte_is_lost_whatever_is_received() {
        let large: &str = "ab".repeat(AHEAD).leak();
        let (receiving, full) = (Receiving::default(), Receiving(Semaphore::new(0)));
        for (body, is_more) in [
            ("", false),
            ("x", false),
            (&large[..AHEAD], false),
            (&large[..=AHEAD], true),
            (large, true),
        ] {
            assert_eq!(receive(&receiving, body).await, (is_more, body.to_owned()));
        }
        assert_eq!(receive(&full, "x").await, (true, "x".to_owned()), "nothing is received");
    }
}
