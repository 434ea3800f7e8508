//! The headers by which a browser is told to be strict, on every answer.

use poem::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Unless an answer has its own: the pages have another policy for content.
///
/// Sources: OWASP ASVS 5.0, 3.4 and 3.5.8; OWASP REST Security Cheat Sheet.
const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    // An API's answer is not for looking at: nothing in it loads, runs, or is framed.
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    // Of requests without CORS only, such as those of an `img`: it takes nothing from origins that
    // CORS allows.
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // For browsers that don't know `frame-ancestors`.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Two years. Whether subdomains have TLS too is not ours to say.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Which of them a server adds.
pub struct SecurityHeaders {
    /// Whether browsers reach the server by TLS only (RFC 6797).
    pub is_tls_only: bool,
}

impl SecurityHeaders {
    /// Adds them to an answer.
    pub fn add(&self, headers: &mut HeaderMap) {
        for (name, value) in ALWAYS {
            headers.entry(name).or_insert(value);
        }
        if self.is_tls_only {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
    }
}
