//! The mails that went to the outbox.

use std::sync::Arc;

use minijinja::{context, value::Serde};
use poem::{
    Response, Route, handler,
    web::{Data, Path},
};
use uuid::Uuid;

use super::{super::error::ApiError, CSP, render};
use crate::{
    adapters::mailer::{OutboxMail, read_outbox},
    services::{Code, Core, ServiceError},
};

pub(super) fn mount(routes: Route) -> Route {
    routes.at("/outbox", poem::get(outbox)).at("/outbox/:id", poem::get(outbox_mail))
}

#[handler]
async fn outbox(core: Data<&Arc<Core>>) -> Result<Response, ApiError> {
    let mails = mails(core.0).await?;
    Ok(render("outbox.html", context! { mails => Serde(mails) }, CSP)?)
}

#[handler]
async fn outbox_mail(core: Data<&Arc<Core>>, id: Path<String>) -> Result<Response, ApiError> {
    let id: Uuid = id.parse().map_err(|_| Code::NotFound)?;
    let mail = mails(core.0).await?.into_iter().find(|mail| mail.id == id);
    let mail = mail.ok_or(Code::NotFound)?;
    Ok(render("outbox_mail.html", context! { mail => Serde(mail) }, CSP)?)
}

async fn mails(core: &Core) -> Result<Vec<OutboxMail>, ServiceError> {
    let folder = core.mails.mailer.outbox_folder().ok_or(Code::NotFound)?.to_owned();
    let read = tokio::task::spawn_blocking(move || read_outbox(&folder));
    read.await.map_err(ServiceError::internal)?.map_err(ServiceError::internal)
}
