//! Which pages of other origins may use an API from a browser (Fetch Standard, 3.2).
//!
//! Each API has its own list, so that a public app's origin can't reach the staff's API. Others get
//! the same answers without the headers, and their browsers keep them from reading those. Tokens
//! travel in `Authorization`, which needs no `Access-Control-Allow-Credentials`: it is never sent.

use std::sync::Arc;

use poem::{
    Request,
    http::{HeaderMap, HeaderValue, Method, header},
};

use crate::api::{Document, Surface};

/// What pages may send.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, If-None-Match, \
     X-Request-Id",
);

/// What pages may read, besides what any may.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Disposition, Deprecation, ETag, Idempotency-Replayed, Link, Location, RateLimit, \
     RateLimit-Policy, Retry-After, Sunset, WWW-Authenticate, X-Request-Id",
);

/// For how long a browser need not ask again, in seconds: as long as Chromium remembers it.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Origins from which pages may use an API.
#[derive(Debug, Clone)]
pub enum Origins {
    Any,
    Listed(Vec<HeaderValue>),
}

impl Origins {
    /// From web addresses; `*` stands for any origin.
    #[must_use]
    pub fn new(addresses: &[String]) -> Self {
        if addresses.iter().any(|address| address == "*") {
            return Self::Any;
        }
        let origin = |address: &String| {
            let origin = url::Url::parse(address).ok()?.origin().ascii_serialization();
            HeaderValue::from_str(&origin).ok()
        };
        Self::Listed(addresses.iter().filter_map(origin).collect())
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(listed) if listed.is_empty())
    }

    /// What a page of this origin is told, if it is allowed.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Listed(listed) => listed.iter().find(|listed| *listed == origin).cloned(),
        }
    }
}

/// The lists of both APIs.
#[derive(Debug, Clone)]
pub struct CorsOptions {
    pub client: Origins,
    pub backoffice: Origins,
}

/// Whom each API tells what.
pub struct Cors {
    apis: Vec<Api>,
}

/// One version of an API.
struct Api {
    prefix: String,
    origins: Origins,
}

impl Cors {
    /// The documents tell where each API is.
    #[must_use]
    pub fn new(options: &CorsOptions, documents: &[Arc<Document>]) -> Self {
        let api = |document: &Arc<Document>| Api {
            prefix: document.surface.prefix(document.version),
            origins: match document.surface {
                Surface::Client => options.client.clone(),
                Surface::Backoffice => options.backoffice.clone(),
            },
        };
        let mut apis: Vec<Api> = documents.iter().map(api).collect();
        // The backoffice is below the client API's prefix: it is found first.
        apis.sort_by_key(|api| std::cmp::Reverse(api.prefix.len()));
        Self { apis }
    }
}

impl Cors {
    /// What is to be said in the answer to this request.
    pub fn told(&self, request: &Request) -> Told {
        let Some(origins) = self.origins(request.uri().path()) else { return Told::default() };
        let origin = request.headers().get(header::ORIGIN);
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Told { varies: true, allowed: origin.and_then(|one| origins.allow(one)), is_preflight }
    }

    /// Those of the API that a path belongs to, unless there are none.
    fn origins(&self, path: &str) -> Option<&Origins> {
        let is_below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let api = self.apis.iter().find(|api| is_below(&api.prefix))?;
        Some(&api.origins).filter(|origins| !origins.is_empty())
    }
}

/// What an answer tells the browser.
#[derive(Debug, Default)]
pub struct Told {
    /// Another origin may be told something else.
    varies: bool,
    allowed: Option<HeaderValue>,
    is_preflight: bool,
}

impl Told {
    /// Puts it into the answer's headers.
    pub fn add(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if self.is_preflight {
                permit(headers);
            } else {
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
            }
        }
    }
}

/// Says what a page may send; the methods are those of the route.
fn permit(headers: &mut HeaderMap) {
    if let Some(allow) = headers.get(header::ALLOW).cloned() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_as_browsers_write_them() {
        let given = ["https://App.Shop.test:443/", "http://localhost:3000"].map(str::to_owned);
        let origins = Origins::new(&given);
        let allowed = |origin: &'static str| {
            let found = origins.allow(&HeaderValue::from_static(origin));
            found.map(|value| value.to_str().expect("ASCII").to_owned())
        };
        for origin in ["https://app.shop.test", "http://localhost:3000"] {
            assert_eq!(allowed(origin).as_deref(), Some(origin));
        }
        for foreign in [
            "",
            "null",
            "*",
            "http://app.shop.test",
            "https://app.shop.test:8443",
            "https://app.shop.test.evil.test",
            "https://evil.test/https://app.shop.test",
            "https://shop.test",
        ] {
            assert_eq!(allowed(foreign), None, "{foreign}");
        }
        assert!(Origins::new(&[]).is_empty());
    }
}
