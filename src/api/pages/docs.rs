//! For each document: Swagger UI, ReDoc, the document itself and its export.

use std::sync::Arc;

use minijinja::{context, value::Serde};
use poem::{
    Endpoint, EndpointExt, Response, Route, endpoint::make_sync, http::header::CONTENT_DISPOSITION,
};
use serde::Serialize;

use super::{
    super::{document::Document, error::ApiError, version::Surface},
    csp, render,
    staff::StaffOnly,
};

/// One way to show a document.
#[derive(Serialize)]
struct Viewer {
    name: &'static str,
    script: &'static str,
    styles: &'static [&'static str],
    /// What its script may do.
    #[serde(skip)]
    csp: &'static str,
}

static SWAGGER_UI: Viewer = Viewer {
    name: "Swagger UI",
    script: "swagger-ui.js",
    styles: &["swagger-ui.css", "docs.css"],
    // Its style sheet has pictures in it.
    csp: csp!("script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"),
};

static REDOC: Viewer = Viewer {
    name: "ReDoc",
    script: "redoc.js",
    styles: &["docs.css"],
    // Its script adds style elements: empty ones, whose rules it adds one by one, and that of its
    // scroll bars. The hashes are those of these two texts. Its search is a worker.
    csp: csp!(
        "script-src 'self'; \
         style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' \
         'sha256-sDI9pUw6Z98NC0sorERcD03vlQ8zZwyaBSQ06jerL4M='; \
         img-src 'self' data:; connect-src 'self'; worker-src blob:"
    ),
};

/// `staff_only`: those of the backoffice are behind the staff sign-in.
pub(super) fn mount(routes: Route, document: &Arc<Document>, staff_only: bool) -> Route {
    let (name, folder) = (document.name(), folder(document));
    let endpoints = [
        (format!("{folder}/docs"), viewer(document, &SWAGGER_UI).boxed()),
        (format!("{folder}/redoc"), viewer(document, &REDOC).boxed()),
        (format!("{folder}/openapi.json"), json(document, "inline").boxed()),
        (
            format!("/api-docs/{name}.json"),
            json(document, &format!("attachment; filename=\"{name}.json\"")).boxed(),
        ),
    ];
    let is_guarded = is_guarded(document, staff_only);
    endpoints.into_iter().fold(routes, |routes, (path, endpoint)| {
        let page = poem::get(endpoint);
        if is_guarded { routes.at(path, page.with(StaffOnly)) } else { routes.at(path, page) }
    })
}

pub(super) fn is_guarded(document: &Document, staff_only: bool) -> bool {
    staff_only && document.surface == Surface::Backoffice
}

/// Where the pages of a document are.
pub(super) fn folder(document: &Document) -> String {
    let surface = document.surface.name();
    match document.version {
        "v1" => format!("/{surface}"),
        version => format!("/{surface}/{version}"),
    }
}

fn viewer(
    document: &Arc<Document>,
    viewer: &'static Viewer,
) -> impl Endpoint<Output = Response> + use<> {
    let document = document.clone();
    make_sync(move |_| {
        let (title, folder) = (document.title(), folder(&document));
        let values = context! { title, folder, viewer => Serde(viewer) };
        render("docs.html", values, viewer.csp).map_err(ApiError)
    })
}

fn json(document: &Arc<Document>, disposition: &str) -> impl Endpoint<Output = Response> + use<> {
    let (document, disposition) = (document.clone(), disposition.to_owned());
    make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .header(CONTENT_DISPOSITION, &disposition)
            .body(document.text.clone())
    })
}
