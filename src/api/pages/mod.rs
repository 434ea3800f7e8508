//! Pages for people: navigation, documentation, the outbox. They load nothing from elsewhere.

use std::sync::Arc;

use minijinja::{Environment, Value, context, value::Serde};
use poem::{
    Endpoint, EndpointExt, IntoResponse, Response, Route, RouteMethod,
    endpoint::make_sync,
    handler,
    http::{HeaderValue, StatusCode, header},
    web::{Data, Path},
};
use poem_openapi::OpenApiService;
use serde::Serialize;
use uuid::Uuid;

use super::{document::Document, error::ApiError};
use crate::{
    adapters::mailer::{OutboxMail, read_outbox},
    services::{Code, Core, ServiceError},
};

/// Scripts and styles stand in the pages themselves; ReDoc searches in a worker of its own.
const CSP: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src blob:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Navigation at `/`, and for each document Swagger UI, ReDoc, the document and its export.
pub(super) fn mount(routes: Route, documents: &[Arc<Document>]) -> Route {
    let cards: Arc<[Card]> = documents.iter().map(|document| Card::of(document)).collect();
    let routes = documents.iter().fold(routes, surface);
    routes
        .at("/", poem::get(navigation).data(cards))
        .at("/docs", redirect("/client/docs"))
        .at("/redoc", redirect("/client/redoc"))
        .at("/openapi.json", redirect("/client/openapi.json"))
}

/// The mails that went to the outbox.
pub(super) fn mount_outbox(routes: Route) -> Route {
    routes.at("/outbox", poem::get(outbox)).at("/outbox/:id", poem::get(outbox_mail))
}

fn surface(routes: Route, document: &Arc<Document>) -> Route {
    // The pages of an API without operations, which get the finished document in its place.
    let empty = OpenApiService::new((), "", "");
    let made = empty.spec();
    // The document stands inside a script: it must not be able to end it.
    let inline = document.text.replace("</", "<\\/");
    let page = |html: String| html.replacen(&made, &inline, 1);
    let swagger = format!("<!DOCTYPE html>{}", page(empty.swagger_ui_html()));
    let redoc = without_web_fonts(&page(empty.redoc_html()));
    // poem-openapi leaves room for a page header, which there is none of.
    let redoc = redoc.replace("scrollYOffset: 50", "scrollYOffset: 0");
    let (name, folder) = (document.name(), folder(document));
    let export = attachment(document.clone(), &name);
    routes
        .at(format!("{folder}/docs"), poem::get(constant(swagger)))
        .at(format!("{folder}/redoc"), poem::get(constant(redoc)))
        .at(format!("{folder}/openapi.json"), poem::get(json(document.clone())))
        .at(format!("/api-docs/{name}.json"), poem::get(export))
}

/// ReDoc's page links a font service.
fn without_web_fonts(html: &str) -> String {
    let Some((before, rest)) = html.split_once("<link href=\"https://fonts.") else {
        return html.to_owned();
    };
    let after = rest.split_once('>').map_or(rest, |(_, after)| after);
    format!("{before}{after}")
}

fn page(html: impl Into<poem::Body>) -> Response {
    let mut response =
        Response::builder().content_type("text/html; charset=utf-8").body(html.into());
    let policy = HeaderValue::from_static(CSP);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn constant(html: String) -> impl Endpoint<Output = Response> {
    let html: Arc<str> = html.into();
    make_sync(move |_| page(html.to_string()))
}

fn json(document: Arc<Document>) -> impl Endpoint<Output = Response> {
    make_sync(move |_| {
        Response::builder().content_type("application/json").body(document.text.clone())
    })
}

fn attachment(document: Arc<Document>, name: &str) -> impl Endpoint<Output = Response> + use<> {
    let disposition = format!("attachment; filename=\"{name}.json\"");
    make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .header(header::CONTENT_DISPOSITION, &disposition)
            .body(document.text.clone())
    })
}

fn redirect(to: &'static str) -> RouteMethod {
    poem::get(make_sync(move |_| {
        Response::builder().status(StatusCode::FOUND).header(header::LOCATION, to).finish()
    }))
}

/// Renders one of the page templates; HTML in values is escaped.
fn render(name: &str, values: Value) -> Result<Response, ServiceError> {
    let mut templates = Environment::new();
    let all = [
        ("layout.html", include_str!("layout.html")),
        ("navigation.html", include_str!("navigation.html")),
        ("outbox.html", include_str!("outbox.html")),
        ("outbox_mail.html", include_str!("outbox_mail.html")),
    ];
    for (name, text) in all {
        templates.add_template(name, text).map_err(ServiceError::internal)?;
    }
    let template = templates.get_template(name).map_err(ServiceError::internal)?;
    Ok(page(template.render(values).map_err(ServiceError::internal)?))
}

/// Where the pages of a document are.
fn folder(document: &Document) -> String {
    let surface = document.surface.name();
    match document.version {
        "v1" => format!("/{surface}"),
        version => format!("/{surface}/{version}"),
    }
}

/// What the navigation says of a document.
#[derive(Serialize)]
struct Card {
    title: String,
    prefix: String,
    folder: String,
    name: String,
}

impl Card {
    fn of(document: &Document) -> Self {
        Self {
            title: document.title().to_owned(),
            prefix: document.surface.prefix(document.version),
            folder: folder(document),
            name: document.name(),
        }
    }
}

#[handler]
async fn navigation(core: Data<&Arc<Core>>, cards: Data<&Arc<[Card]>>) -> poem::Result<Response> {
    let has_outbox = core.mails.mailer.outbox_folder().is_some();
    let cards = Serde(&**cards.0);
    let values = context! { version => env!("CARGO_PKG_VERSION"), has_outbox, cards };
    Ok(render("navigation.html", values).map_err(ApiError)?.into_response())
}

async fn mails(core: &Core) -> Result<Vec<OutboxMail>, ServiceError> {
    let folder = core.mails.mailer.outbox_folder().ok_or(Code::NotFound)?.to_owned();
    let read = tokio::task::spawn_blocking(move || read_outbox(&folder));
    read.await.map_err(ServiceError::internal)?.map_err(ServiceError::internal)
}

#[handler]
async fn outbox(core: Data<&Arc<Core>>) -> poem::Result<Response> {
    let mails = mails(core.0).await.map_err(ApiError)?;
    Ok(render("outbox.html", context! { mails => Serde(mails) }).map_err(ApiError)?)
}

#[handler]
async fn outbox_mail(core: Data<&Arc<Core>>, id: Path<String>) -> poem::Result<Response> {
    let id: Uuid = id.parse().map_err(|_| ApiError::from(Code::NotFound))?;
    let mails = mails(core.0).await.map_err(ApiError)?;
    let mail = mails.into_iter().find(|mail| mail.id == id);
    let mail = mail.ok_or(ApiError::from(Code::NotFound))?;
    Ok(render("outbox_mail.html", context! { mail => Serde(mail) }).map_err(ApiError)?)
}
