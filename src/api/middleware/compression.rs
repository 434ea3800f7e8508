//! Answers compressed by gzip, where that gives nothing away.
//!
//! The length of a compressed answer tells how much of what a caller chose stands in it as well
//! (BREACH). To use that, a stranger must make a victim's browser send requests that carry the
//! victim's rights by themselves. A bearer token is added by the app, not by the browser, so it
//! can't be had that way; a cookie can. So answers are compressed to GET requests without cookies
//! only, and never those that give out tokens, which all answer POST. An operation whose answer
//! should stay as it is says `Cache-Control: no-transform` (RFC 9111, 5.2.2.6).
//!
//! gzip alone: brotli saves a little more, for some megabytes of memory with each answer.

use std::sync::Arc;

use async_compression::{Level, tokio::bufread::GzipEncoder};
use futures_util::StreamExt;
use poem::{
    Body, Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use tokio::{io::BufReader, sync::Semaphore};

use super::content_length;
use crate::api::etag::GZIP_SUFFIX;

/// Smaller answers fit into one packet as they are.
const MIN_BYTES: u64 = 1024;

/// Types that shrink, besides `text/*`.
const TYPES: [&str; 4] =
    ["application/javascript", "application/json", "application/x-ndjson", "image/svg+xml"];

/// Answers up to this length are compressed before they are sent.
const AT_ONCE_BYTES: u64 = 256 * 1024;
/// So many longer ones, and streams, are compressed while they are sent: each takes a third of a
/// megabyte until its client has got it. The others go as they are.
const STREAMS: usize = 64;

/// The layer.
#[derive(Debug, Clone)]
pub struct Compression {
    streams: Arc<Semaphore>,
}

impl Default for Compression {
    fn default() -> Self {
        Self { streams: Arc::new(Semaphore::new(STREAMS)) }
    }
}

impl<E: Endpoint> Middleware<E> for Compression {
    type Output = CompressionEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        CompressionEndpoint { inner, layer: self.clone() }
    }
}

/// What [`Compression`] makes of an endpoint.
pub struct CompressionEndpoint<E> {
    inner: E,
    layer: Compression,
}

impl<E: Endpoint> Endpoint for CompressionEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let headers = request.headers();
        let may_compress = request.method() == Method::GET && !headers.contains_key(header::COOKIE);
        let is_wanted = accepts_gzip(headers);
        let mut response = self.inner.call(request).await?.into_response();
        let worth_it = may_compress && is_worth_it(&mut response);
        // What the 200 would vary by, its 304 has to name, too (RFC 9110, 15.4.5).
        if worth_it || (may_compress && response.status() == StatusCode::NOT_MODIFIED) {
            let vary = HeaderValue::from_static("Accept-Encoding");
            response.headers_mut().append(header::VARY, vary);
        }
        if worth_it && is_wanted {
            self.layer.compress(&mut response).await?;
        }
        Ok(response)
    }
}

/// Whether gzip is at least as welcome as what is not compressed (RFC 9110, 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = list(headers, &header::ACCEPT_ENCODING).to_ascii_lowercase();
    let weight = |wanted: &[&str]| {
        accepted.split(',').find_map(|item| {
            let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
            wanted.contains(&coding.trim()).then(|| weight.unwrap_or_default())
        })
    };
    let any = weight(&["*"]);
    let gzip = weight(&["gzip", "x-gzip"]).or(any).unwrap_or_default();
    gzip > 0.0 && gzip >= weight(&["identity"]).unwrap_or_default()
}

/// All that the lines of a header list.
fn list(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.collect::<Vec<_>>().join(",")
}

/// Whether it is text of some length that may be changed on its way.
fn is_worth_it(response: &mut Response) -> bool {
    let is_long = content_length(response).is_none_or(|length| length >= MIN_BYTES);
    let content_type = response.content_type().unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let shrinks = content_type.starts_with("text/") || TYPES.contains(&content_type);
    let headers = response.headers();
    let may_change = !list(headers, &header::CACHE_CONTROL).contains("no-transform")
        && !headers.contains_key(header::CONTENT_ENCODING);
    response.status() == StatusCode::OK && is_long && shrinks && may_change
}

impl Compression {
    async fn compress(&self, response: &mut Response) -> Result<()> {
        let is_short = content_length(response).is_some_and(|length| length <= AT_ONCE_BYTES);
        let permit = match self.streams.clone().try_acquire_owned() {
            _ if is_short => None,
            Ok(permit) => Some(permit),
            Err(_) => return Ok(()),
        };
        let plain = BufReader::new(response.take_body().into_async_read());
        let packed = Body::from_async_read(GzipEncoder::with_quality(plain, Level::Fastest));
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(tag) = compressed_tag(headers) {
            headers.insert(header::ETAG, tag);
        }
        response.set_body(match permit {
            None => packed.into_bytes().await?.into(),
            // Whenever more is waited for, what there is is passed on.
            Some(permit) => Body::from_bytes_stream(packed.into_bytes_stream().map(move |piece| {
                let _held = &permit;
                piece
            })),
        });
        Ok(())
    }
}

/// The entity tag of the compressed representation. A weak one stands for both.
fn compressed_tag(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(header::ETAG)?.to_str().ok()?;
    let plain = tag.strip_prefix('"')?.strip_suffix('"')?;
    HeaderValue::from_str(&format!("\"{plain}{GZIP_SUFFIX}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_of_codings_are_heeded() {
        let accepts = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            accepts_gzip(&headers)
        };
        for text in [
            "gzip",
            "x-gzip",
            "GZIP",
            "br, gzip",
            "deflate, gzip;q=1.0, *;q=0.5",
            "gzip;q=0.5",
            "*",
            "identity;q=0, gzip",
            "identity;q=0, *",
            "br;q=1 , gzip ; q=0.8",
        ] {
            assert!(accepts(text), "{text}");
        }
        for text in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip; q=0.0, *",
            "*;q=0",
            "gzip;q=0.5, identity",
            "gzip;q=x",
            "gzipped",
        ] {
            assert!(!accepts(text), "{text}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn when_too_many_are_compressed_as_they_are_sent_others_stay_as_they_are() {
        let layer = Compression { streams: Arc::new(Semaphore::new(1)) };
        let compress = async |body: Body| {
            let mut response = Response::builder().body(body);
            layer.compress(&mut response).await.expect("compressed");
            response
        };
        let is_packed =
            |response: &Response| response.headers().contains_key(header::CONTENT_ENCODING);
        let stream = || Body::from_async_read(&b"a stream"[..]);
        let first = compress(stream()).await;
        assert!(is_packed(&first));
        let second = compress(stream()).await;
        assert!(!is_packed(&second));
        assert_eq!(second.into_body().into_string().await.expect("text"), "a stream");
        assert!(is_packed(&compress(Body::from("what is here at once")).await));
        drop(first);
        assert!(is_packed(&compress(stream()).await));
    }
}
