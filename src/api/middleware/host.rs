//! Every request names its host, once and well (RFC 9112, 3.2; RFC 9113, 8.3.1).

use poem::{
    Endpoint, Middleware, Request, Result,
    http::{Version, header, uri::Authority},
};

use crate::{
    api::error::ApiError,
    services::{Code, ServiceError},
};

/// The layer.
pub struct Host;

impl<E: Endpoint> Middleware<E> for Host {
    type Output = HostEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        HostEndpoint(inner)
    }
}

/// What [`Host`] makes of an endpoint.
pub struct HostEndpoint<E>(E);

impl<E: Endpoint> Endpoint for HostEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> Result<E::Output> {
        match fault(&request) {
            None => self.0.call(request).await,
            Some(fault) => {
                Err(ApiError(ServiceError::from(Code::Malformed).caused_by(fault)).into())
            }
        }
    }
}

/// What is wrong with how a request names its host.
fn fault(request: &Request) -> Option<&'static str> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let (field, target) = (fields.next(), request.uri().authority());
    if fields.next().is_some() {
        return Some("more than one Host");
    }
    // What can't be read as text is no host either.
    let field = field.map(|field| field.to_str().unwrap_or_default());
    let named = [field, target.map(Authority::as_str)];
    if !named.iter().flatten().all(|name| is_host(name)) {
        return Some("a malformed host");
    }
    match (named, request.version()) {
        // HTTP/1.0 knew no Host yet, and simple probes still speak it.
        ([None, None], version) => (version > Version::HTTP_10).then_some("no host"),
        // Also beside a target that names one (RFC 9112, 3.2).
        ([None, Some(_)], Version::HTTP_11) => Some("no host"),
        ([Some(field), Some(target)], Version::HTTP_2) => {
            (!field.eq_ignore_ascii_case(target)).then_some("two different hosts")
        }
        // Of two in HTTP/1.1 the target's is the one that counts.
        _ => None,
    }
}

/// A host and maybe a port, but no user (RFC 9110, 4.2.4).
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let host = authority.host();
    let is_port = |rest: &str| {
        let port = rest.strip_prefix(':');
        rest.is_empty() || port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    !host.is_empty() && text.strip_prefix(host).is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_have_a_port_and_nothing_else() {
        for good in ["localhost", "API.example.com", "127.0.0.1:8001", "[::1]", "[::1]:80", "x:"] {
            assert!(is_host(good), "{good}");
        }
        for bad in
            ["", ":80", "a b", "a/b", "ada@x", "ada:x@x:80", "x:80:80", "x:y", "x:+8", "[::1"]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
