//! One version of one API. Several stand side by side, each with its own document
//! (`docs/versioning.md`).

use std::fmt::Display;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use poem::{
    EndpointExt, IntoEndpoint, Response,
    endpoint::BoxEndpoint,
    http::{HeaderName, HeaderValue, header},
};
use poem_openapi::{OpenApi, OpenApiService};

/// Whom an API is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Mobile and web apps, the public.
    Client,
    /// Admin staff.
    Backoffice,
}

impl Surface {
    /// As addresses and files name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Backoffice => "backoffice",
        }
    }

    /// Where a version of this API is mounted.
    #[must_use]
    pub fn prefix(self, version: impl Display) -> String {
        match self {
            Self::Client => format!("/api/{version}"),
            Self::Backoffice => format!("/api/{version}/backoffice"),
        }
    }
}

/// One version of one API: its operations, and what of it is on its way out.
pub struct ApiVersion {
    pub surface: Surface,
    /// Such as `v1`.
    pub version: &'static str,
    /// As poem-openapi makes the document.
    pub(super) spec: String,
    pub(super) endpoint: BoxEndpoint<'static, Response>,
    pub(super) deprecations: Vec<Deprecation>,
}

impl ApiVersion {
    /// Needs no database; the service gets its prefix here.
    #[must_use]
    pub fn new<T: OpenApi + 'static>(
        surface: Surface,
        version: &'static str,
        service: OpenApiService<T, ()>,
    ) -> Self {
        let service = service.url_prefix(surface.prefix(version));
        let spec = service.spec();
        let endpoint = service.into_endpoint().map_to_response().boxed();
        Self { surface, version, spec, endpoint, deprecations: Vec::new() }
    }

    /// Announces that operations will go.
    #[must_use]
    pub fn deprecate(self, deprecations: impl IntoIterator<Item = Deprecation>) -> Self {
        Self { deprecations: deprecations.into_iter().collect(), ..self }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.surface.prefix(self.version)
    }
}

/// An operation that callers should leave.
#[derive(Debug, Clone, Copy)]
pub struct Deprecation {
    pub operation_id: &'static str,
    /// Since when new code should not use it.
    pub since: NaiveDate,
    /// From when on it may be gone.
    pub sunset: Option<NaiveDate>,
    /// A page that says what to use instead.
    pub guide: Option<&'static str>,
}

impl Deprecation {
    /// What each answer of the operation says (RFC 9745, RFC 8594).
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let since = format!("@{}", midnight(self.since).timestamp());
        let sunset = self.sunset.map(|day| midnight(day).format("%a, %d %b %Y %H:%M:%S GMT"));
        let guide = self.guide.map(|page| format!("<{page}>; rel=\"deprecation\""));
        let texts = [
            (HeaderName::from_static("deprecation"), Some(since)),
            (HeaderName::from_static("sunset"), sunset.map(|date| date.to_string())),
            (header::LINK, guide),
        ];
        let value = |(name, text): (HeaderName, Option<String>)| {
            Some((name, HeaderValue::from_str(&text?).ok()?))
        };
        texts.into_iter().filter_map(value).collect()
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
