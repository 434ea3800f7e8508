//! What every request passes through, each in a layer of its own; `api/mod.rs` has their order.

pub mod compression;
pub mod conditional;
pub mod cors;
pub mod edge;
pub mod failures;
pub mod headers;
pub mod host;
pub mod idempotency;
pub mod limits;
pub mod maintenance;
pub mod methods;
pub mod overload;
pub mod path_words;
mod queue;
pub mod rate_limits;
mod receiving;
mod refusals;
pub mod routes;

use http_body_util::combinators::BoxBody;
use hyper::body::Body as _;
use poem::{Request, Response, http::header};

/// How long the body is, if that is known before it is sent.
fn content_length(response: &mut Response) -> Option<u64> {
    let body = BoxBody::from(response.take_body());
    let length = body.size_hint().exact();
    response.set_body(body);
    length
}

/// How long a request says that its body is.
fn declared_length(request: &Request) -> Option<usize> {
    request.header(header::CONTENT_LENGTH)?.parse().ok()
}
