//! HTTP: both surfaces, their documents and pages, health, and the edge around them.

pub mod accepted;
pub mod auth;
pub mod backoffice;
pub mod body;
pub mod client;
pub mod client_address;
pub mod csv;
pub mod document;
pub mod envelope;
pub mod error;
pub mod etag;
pub mod header_parameters;
pub mod health;
pub mod idempotency;
mod json;
pub mod listing;
pub mod metrics;
pub mod middleware;
pub mod pages;
mod resources;
mod same;
pub mod types;
pub mod validation;
pub mod version;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route};

use crate::services::Core;
use client_address::Proxies;
pub use document::{Document, Operation};
use middleware::{
    compression::Compression,
    conditional::Conditional,
    cors::{Cors, CorsOptions},
    edge::{Edge, Ids},
    failures::Failures,
    headers::SecurityHeaders,
    host::Host,
    idempotency::Idempotency,
    limits::Limits,
    maintenance::Maintenance,
    methods::CommonMethods,
    overload::{Capacity, Overload},
    path_words::PathWords,
    rate_limits::RateLimits,
    routes::Routes,
};
pub use version::{ApiVersion, Deprecation, Surface};

/// What the HTTP side is told by the settings.
#[derive(Debug, Clone)]
pub struct Options {
    pub capacity: Capacity,
    pub limits: Limits,
    pub cors: CorsOptions,
    pub proxies: Proxies,
    /// Where users reach the APIs, without a slash at its end.
    pub public_url: Option<String>,
    /// Documentation pages, exports and navigation.
    pub docs: bool,
    /// Whether those of the backoffice need a staff sign-in.
    pub staff_only_docs: bool,
}

/// What stands beside what comes with Twofold: a product's own, or a test's.
#[derive(Default)]
pub struct Additions {
    pub routes: Route,
    pub versions: Vec<ApiVersion>,
}

impl From<Route> for Additions {
    fn from(routes: Route) -> Self {
        Self { routes, versions: Vec::new() }
    }
}

/// Every version of both APIs; needs no database.
fn versions() -> Vec<ApiVersion> {
    vec![client::v1::version(), backoffice::v1::version()]
}

/// Every finished document. `public_url` becomes their server.
#[must_use]
pub fn documents(public_url: Option<&str>) -> Vec<Arc<Document>> {
    versions().iter().map(|version| Arc::new(Document::finish(version, public_url))).collect()
}

/// What orchestrators and monitors ask.
const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";
const PROBES: [&str; 3] = [LIVE, READY, "/api/v1/config/health"];

/// The whole HTTP side.
pub fn application(
    core: Arc<Core>,
    options: Options,
    additions: Additions,
) -> impl Endpoint<Output = Response> + 'static {
    let mut routes =
        additions.routes.at(LIVE, poem::get(health::live)).at(READY, poem::get(health::ready));
    let mut documents = Vec::new();
    let mut of_pages = None;
    for version in versions().into_iter().chain(additions.versions) {
        let document = Arc::new(Document::finish(&version, options.public_url.as_deref()));
        let prefix = version.prefix();
        let endpoint = version.endpoint.with(Conditional::new(document.clone())).boxed();
        let endpoint = match version.surface {
            Surface::Client => endpoint.with(Maintenance(core.clone())).boxed(),
            Surface::Backoffice => endpoint,
        };
        let endpoint = Arc::new(endpoint.data(document.clone()).boxed());
        if prefix == pages::API {
            of_pages = Some(endpoint.clone());
        }
        routes = routes.nest(prefix, endpoint);
        documents.push(document);
    }
    if let Some(backoffice) = of_pages {
        routes = pages::mount_staff(routes, backoffice);
    }
    if options.docs {
        routes = pages::mount_docs(routes, &documents, options.staff_only_docs);
        if core.mails.mailer.outbox_folder().is_some() {
            routes = pages::mount_outbox(routes);
        }
    }
    let documents: Arc<[Arc<Document>]> = documents.into();
    let metrics = core.metrics.clone();
    let ids = Ids { random: core.random, clock: core.clock.clone() };
    let is_tls_only = options.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    let failures = Failures::new(documents.clone());
    // From the inside out. Each is boxed: futures nested ten deep take the compiler minutes.
    let inner = routes
        .data(core.clone())
        .data(pages::PublicOrigin(options.public_url))
        .data(options.proxies)
        .boxed()
        .with(Idempotency::new(core))
        .boxed()
        .with(options.limits)
        .boxed()
        .with(Host)
        .boxed()
        .with(failures.clone())
        .boxed()
        .with(RateLimits)
        .boxed()
        .with(Compression::default())
        .boxed()
        .with(CommonMethods)
        .boxed();
    let paths = || documents.iter().flat_map(|document| document.paths());
    Edge {
        inner,
        ids,
        metrics,
        routes: Routes::of(paths()),
        words: PathWords::of(paths()),
        overload: Overload::new(options.capacity, &PROBES),
        failures,
        cors: Cors::new(&options.cors, &documents),
        headers: SecurityHeaders { is_tls_only },
    }
}
