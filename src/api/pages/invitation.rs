//! Where the link of an invitation leads: the form in which its recipient chooses a password.

use std::sync::Arc;

use minijinja::context;
use poem::{
    Response, Route, handler,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    web::{Data, Form, Query},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    super::error::ApiError,
    CSP, render,
    sign_in::SIGN_IN,
    staff::{SameOrigin, see_other},
};
use crate::{
    db::Origin,
    services::{Code, Core, invitations},
};

pub(super) const INVITATION: &str = "/backoffice/invitation";

pub(super) fn mount(routes: Route) -> Route {
    routes.at(INVITATION, poem::get(form).post(accept))
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: SecretString,
}

#[derive(Deserialize)]
struct Acceptance {
    token: SecretString,
    password: SecretString,
}

#[handler]
fn form(link: Query<Link>) -> Result<Response, ApiError> {
    let Link { token } = link.0;
    Ok(render("invitation.html", context! { token => token.expose_secret() }, CSP)?)
}

#[handler]
async fn accept(
    _same_origin: SameOrigin,
    core: Data<&Arc<Core>>,
    origin: Origin,
    acceptance: Form<Acceptance>,
) -> Result<Response, ApiError> {
    let Acceptance { token, password } = acceptance.0;
    let token = token.expose_secret();
    let Err(error) = invitations::accept(core.0, &origin, token, &password).await else {
        return Ok(see_other(SIGN_IN));
    };
    let status = match error.code {
        Code::ValidationFailed | Code::InvalidInvitation => StatusCode::UNPROCESSABLE_ENTITY,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        _ => return Err(error.into()),
    };
    let faults: Vec<String> = match error.fields.as_slice() {
        [] => vec![error.code.message().to_owned()],
        fields => fields.iter().map(|fault| format!("The password {}.", fault.message)).collect(),
    };
    let mut page = render("invitation.html", context! { token, faults }, CSP)?;
    page.set_status(status);
    if let Some(wait) = error.retry_after {
        page.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    Ok(page)
}
