//! HTTP: both surfaces, their documents and pages, health, and the edge around them.

pub mod auth;
pub mod backoffice;
pub mod body;
pub mod client;
pub mod document;
pub mod envelope;
pub mod error;
pub mod health;
pub mod listing;
pub mod middleware;
pub mod pages;
pub mod types;
pub mod validation;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route};

use crate::services::Core;
use document::Document;
pub use document::Operation;
use middleware::edge::{Edge, Limits};

/// Where each surface lives.
pub const CLIENT_PREFIX: &str = "/api/v1";
pub const BACKOFFICE_PREFIX: &str = "/api/v1/backoffice";

/// What the HTTP side is told by the settings.
#[derive(Debug, Clone)]
pub struct Options {
    pub limits: Limits,
    /// Where users reach the APIs, without a slash at its end.
    pub public_url: Option<String>,
    /// Documentation pages, exports and navigation.
    pub docs: bool,
    pub releases: Vec<client::v1::config::PlatformRelease>,
}

/// Both finished documents.
#[derive(Debug)]
pub struct Documents {
    pub client: Arc<Document>,
    pub backoffice: Arc<Document>,
}

impl Documents {
    /// Makes the documents; needs no database. `public_url` becomes their server.
    #[must_use]
    pub fn make(public_url: Option<&str>) -> Self {
        let client = client::v1::service().spec();
        let backoffice = backoffice::v1::service().spec();
        Self {
            client: Arc::new(Document::finish(&client, public_url)),
            backoffice: Arc::new(Document::finish(&backoffice, public_url)),
        }
    }

    /// Every operation of both surfaces.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.client.operations().chain(self.backoffice.operations()).collect()
    }
}

/// The whole HTTP side. `extra` holds a product's own routes beside ours.
pub fn application(
    core: Arc<Core>,
    options: Options,
    extra: Route,
) -> impl Endpoint<Output = Response> + 'static {
    let documents = Documents::make(options.public_url.as_deref());
    let client = client::v1::service();
    let backoffice = backoffice::v1::service();

    let mut routes = extra
        .at("/health/live", poem::get(health::live))
        .at("/health/ready", poem::get(health::ready));
    if options.docs {
        routes = pages::mount(routes, &documents, &client, &backoffice);
        if core.mails.mailer.outbox_folder().is_some() {
            routes = pages::mount_outbox(routes);
        }
    }
    let both = [&documents.client, &documents.backoffice].map(Arc::clone);
    let edge = Edge::new(options.limits, both, core.random, core.clock.clone());
    routes
        .nest(BACKOFFICE_PREFIX, backoffice.data(documents.backoffice))
        .nest(CLIENT_PREFIX, client.data(documents.client))
        .data(Arc::new(options.releases))
        .data(core)
        .with(edge)
}
