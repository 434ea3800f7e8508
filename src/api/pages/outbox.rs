//! The mails that went to the outbox.

use std::sync::Arc;

use minijinja::{context, value::Serde};
use poem::{
    Response, Route, handler,
    web::{Data, Path},
};
use uuid::Uuid;

use super::{super::error::ApiError, CSP, csp, page, render};
use crate::{
    adapters::mailer::{OutboxMail, read_outbox},
    services::{Code, Core, ServiceError},
};

/// A mail brings its styles along, and nothing else.
const MAIL_CSP: &str = csp!("style-src 'unsafe-inline'; sandbox");

pub(super) fn mount(routes: Route) -> Route {
    routes
        .at("/outbox", poem::get(outbox))
        .at("/outbox/:id", poem::get(outbox_mail))
        .at("/outbox/:id/html", poem::get(outbox_mail_html))
}

#[handler]
async fn outbox(core: Data<&Arc<Core>>) -> Result<Response, ApiError> {
    let mails = mails(core.0).await?;
    Ok(render("outbox.html", context! { mails => Serde(mails) }, CSP)?)
}

#[handler]
async fn outbox_mail(core: Data<&Arc<Core>>, id: Path<String>) -> Result<Response, ApiError> {
    let mail = mail(core.0, &id).await?;
    Ok(render("outbox_mail.html", context! { mail => Serde(mail) }, CSP)?)
}

/// The mail as a program that reads mail shows it.
#[handler]
async fn outbox_mail_html(core: Data<&Arc<Core>>, id: Path<String>) -> Result<Response, ApiError> {
    Ok(page(mail(core.0, &id).await?.html, MAIL_CSP))
}

async fn mail(core: &Core, id: &str) -> Result<OutboxMail, ServiceError> {
    let id: Uuid = id.parse().map_err(|_| Code::NotFound)?;
    let mail = mails(core).await?.into_iter().find(|mail| mail.id == id);
    Ok(mail.ok_or(Code::NotFound)?)
}

async fn mails(core: &Core) -> Result<Vec<OutboxMail>, ServiceError> {
    let folder = core.mails.mailer.outbox_folder().ok_or(Code::NotFound)?.to_owned();
    let read = tokio::task::spawn_blocking(move || read_outbox(&folder));
    read.await.map_err(ServiceError::internal)?.map_err(ServiceError::internal)
}
