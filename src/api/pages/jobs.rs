//! What goes on in the background, and what staff can do about it: one page, whose script calls operations
//! of the backoffice.
//!
//! They are there a second time, below the page, and take its cookie instead of a token. So whatever an
//! operation asks of its caller, the page's visitors are asked as well. Other operations don't take the
//! cookie.

use std::sync::Arc;

use minijinja::context;
use poem::{
    Endpoint, EndpointExt, PathPattern, Request, Response, Result, Route,
    error::NotFoundError,
    handler,
    http::{HeaderValue, header::AUTHORIZATION},
    web::Data,
};

use super::{super::auth::Visitor, super::error::ApiError, csp, render, staff::StaffOnly};
use crate::services::{Core, staff};

pub(super) const PAGE: &str = "/backoffice/jobs";

/// The version of the API that the script is written for.
pub(in crate::api) const API: &str = "/api/v1/backoffice";

/// What it may call, by the first word of the path.
const OPERATIONS: [&str; 3] = ["jobs", "queues", "schedules"];

const CSP: &str = csp!("script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'");

pub(super) fn mount<E>(routes: Route, backoffice: E) -> Route
where
    E: Endpoint<Output = Response> + 'static,
{
    routes
        .at(PAGE, poem::get(page).with(StaffOnly))
        .nest(format!("{PAGE}/data"), Operations(backoffice).with(StaffOnly))
}

#[handler]
async fn page(Data(visitor): Data<&Visitor>, core: Data<&Arc<Core>>) -> Result<Response, ApiError> {
    let admin = staff::current(core.0, visitor.0.claims.sub).await?.email;
    Ok(render("jobs.html", context! { admin }, CSP)?)
}

/// Calls operations on behalf of the page's visitor.
struct Operations<E>(E);

impl<E: Endpoint<Output = Response>> Endpoint for Operations<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let first = request.uri().path().split('/').nth(1).unwrap_or_default();
        if !OPERATIONS.contains(&first) {
            return Err(NotFoundError.into());
        }
        // From here on it is a request to the API; the visitor goes for the token that guards ask for.
        request.set_data(PathPattern(API.into()));
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer -"));
        self.0.call(request).await
    }
}
