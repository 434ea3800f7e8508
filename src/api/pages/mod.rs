//! Pages for people: navigation, documentation, the outbox; for staff the sign-in and the jobs. They load
//! nothing from elsewhere, and run no script but their own files.

mod assets;
mod docs;
mod invitation;
mod jobs;
mod outbox;
mod sign_in;
mod staff;

use std::sync::Arc;

use minijinja::{Environment, Value, context, value::Serde};
use poem::{
    Endpoint, EndpointExt, Response, Route, RouteMethod,
    endpoint::make_sync,
    handler,
    http::{HeaderValue, StatusCode, header},
    web::Data,
};
use serde::Serialize;

use super::{document::Document, error::ApiError};
use crate::services::{Core, ServiceError};
pub(super) use jobs::API;
pub(super) use staff::PublicOrigin;

/// A content security policy: what a page may do beside sending forms to us.
macro_rules! csp {
    ($allowed:literal) => {
        concat!(
            "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; ",
            $allowed
        )
    };
}
use csp;

/// That of pages without scripts.
const CSP: &str = csp!("style-src 'self'; img-src 'self'");

/// The staff sign-in, and what is always behind it; `backoffice` is the API that it is made of.
pub(super) fn mount_staff<E>(routes: Route, backoffice: E) -> Route
where
    E: Endpoint<Output = Response> + 'static,
{
    jobs::mount(invitation::mount(sign_in::mount(assets::mount(routes))), backoffice)
}

/// Navigation at `/`, and the pages of each document; with `staff_only` those of the backoffice
/// are behind the staff sign-in.
pub(super) fn mount_docs(
    mut routes: Route,
    documents: &[Arc<Document>],
    staff_only: bool,
) -> Route {
    let cards: Arc<[Card]> =
        documents.iter().map(|document| Card::of(document, staff_only)).collect();
    for document in documents {
        routes = docs::mount(routes, document, staff_only);
    }
    assets::mount_viewers(routes)
        .at("/", poem::get(navigation).data(cards))
        .at("/docs", redirect("/client/docs"))
        .at("/redoc", redirect("/client/redoc"))
        .at("/openapi.json", redirect("/client/openapi.json"))
}

/// The mails that went to the outbox.
pub(super) fn mount_outbox(routes: Route) -> Route {
    outbox::mount(routes)
}

/// What the `Allow` header of a 405 says at the route of a page.
pub(super) fn allow(route: &str) -> &'static str {
    match route {
        sign_in::SIGN_IN | invitation::INVITATION => "GET, HEAD, OPTIONS, POST",
        sign_in::SIGN_OUT => "OPTIONS, POST",
        _ => "GET, HEAD, OPTIONS",
    }
}

fn redirect(to: &'static str) -> RouteMethod {
    poem::get(make_sync(move |_| {
        Response::builder().status(StatusCode::FOUND).header(header::LOCATION, to).finish()
    }))
}

/// Renders one of the page templates; HTML in values is escaped.
fn render(name: &str, values: Value, csp: &'static str) -> Result<Response, ServiceError> {
    let mut templates = Environment::new();
    let all = [
        ("invitation.html", include_str!("templates/invitation.html")),
        ("layout.html", include_str!("templates/layout.html")),
        ("navigation.html", include_str!("templates/navigation.html")),
        ("docs.html", include_str!("templates/docs.html")),
        ("jobs.html", include_str!("templates/jobs.html")),
        ("outbox.html", include_str!("templates/outbox.html")),
        ("outbox_mail.html", include_str!("templates/outbox_mail.html")),
        ("sign_in.html", include_str!("templates/sign_in.html")),
    ];
    for (name, text) in all {
        templates.add_template(name, text).map_err(ServiceError::internal)?;
    }
    let asset =
        |name: &str| assets::path(name).map(|path| Value::from_safe_string(path.to_owned()));
    templates.add_function("asset", asset);
    let template = templates.get_template(name).map_err(ServiceError::internal)?;
    Ok(page(template.render(values).map_err(ServiceError::internal)?, csp))
}

fn page(html: String, csp: &'static str) -> Response {
    let mut response = Response::builder().content_type("text/html; charset=utf-8").body(html);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(csp));
    // With `no-referrer` browsers would send forms with an `Origin` of `null`.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// What the navigation says of a document.
#[derive(Serialize)]
struct Card {
    title: String,
    prefix: String,
    folder: String,
    name: String,
    is_guarded: bool,
}

impl Card {
    fn of(document: &Document, staff_only: bool) -> Self {
        Self {
            title: document.title().to_owned(),
            prefix: document.surface.prefix(document.version),
            folder: docs::folder(document),
            name: document.name(),
            is_guarded: docs::is_guarded(document, staff_only),
        }
    }
}

#[handler]
async fn navigation(
    core: Data<&Arc<Core>>,
    cards: Data<&Arc<[Card]>>,
) -> Result<Response, ApiError> {
    let has_outbox = core.mails.mailer.outbox_folder().is_some();
    let cards = Serde(&**cards.0);
    let values = context! { version => env!("CARGO_PKG_VERSION"), has_outbox, cards };
    Ok(render("navigation.html", values, CSP)?)
}
