//! What a request brings is received before its turn: a client that sends slowly keeps nobody else
//! waiting.

use std::io;

use futures_util::{Stream, StreamExt, stream};
use hyper::body::Bytes;
use poem::{Body, Request, http::header};

/// So much is kept of a request that has no turn: what most requests have. All connections together
/// can't make the process keep too much.
const AHEAD: usize = 16 * 1024;

/// Receives the body, unless it is a large one; whether it is.
pub(super) async fn receive(request: &mut Request) -> bool {
    let body = request.take_body();
    if body.is_empty() {
        return false;
    }
    let declared = request.header(header::CONTENT_LENGTH).and_then(|v| v.parse::<usize>().ok());
    if declared.is_some_and(|length| length > AHEAD) {
        request.set_body(body);
        return true;
    }
    let (body, is_large) = ahead(body).await;
    request.set_body(body);
    is_large
}

/// The same body, most of which is here already, and whether more is to come. A failure is left to
/// who reads it.
async fn ahead(body: Body) -> (Body, bool) {
    let mut rest = Box::pin(body.into_bytes_stream());
    // Copied, as small pieces keep the buffers of a connection.
    let mut start = Vec::new();
    let next = loop {
        match rest.next().await {
            Some(Ok(piece)) if start.len() + piece.len() <= AHEAD => {
                start.extend_from_slice(&piece);
            }
            next => break next,
        }
    };
    match next {
        None => (start.into(), false),
        Some(Err(error)) => (again(start, Err(error), stream::empty()), false),
        Some(more) => (again(start, more, rest), true),
    }
}

fn again(
    start: Vec<u8>,
    next: io::Result<Bytes>,
    rest: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Body {
    Body::from_bytes_stream(stream::iter([Ok(start.into()), next]).chain(rest))
}
