//! Where staff sign in to see pages, and out again.

use std::sync::Arc;

use minijinja::context;
use poem::{
    EndpointExt, Request, Response, Route, handler,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    web::{Data, Form, Query},
};
use secrecy::SecretString;
use serde::Deserialize;
use url::{Position, Url};

use super::{
    super::{
        auth::{Visitor, origin},
        error::ApiError,
    },
    CSP, jobs, render,
    staff::{
        SameOrigin, StaffOnly, device_token, remove_cookie, see_other, set_cookie,
        set_device_cookie, visit,
    },
};
use crate::{
    db::{Actor, Origin},
    services::{
        Code, Core,
        email_address::EmailAddress,
        sessions::Authenticated,
        staff,
        staff_pages::{self, SignedIn},
    },
};

pub(super) const SIGN_IN: &str = "/backoffice/sign-in";
pub(super) const SIGN_OUT: &str = "/backoffice/sign-out";

/// Where one goes without a page in mind.
const HOME: &str = jobs::PAGE;

pub(super) fn mount(routes: Route) -> Route {
    routes
        .at(SIGN_IN, poem::get(form).post(sign_in))
        .at(SIGN_OUT, poem::post(sign_out).with(StaffOnly))
}

/// The page that was to be seen.
#[derive(Deserialize)]
struct Target {
    return_to: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: SecretString,
    /// Of the second factor.
    code: Option<String>,
    return_to: Option<String>,
}

/// To the sign-in page, and from there back to what was asked for.
pub(super) fn lead_to(request: &Request) -> Response {
    // A form can't be sent again by a redirection.
    let asked = request.uri().path_and_query().filter(|_| request.method().is_safe());
    let asked = asked.map_or(HOME, |path| path.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", local_page(asked).as_deref().unwrap_or(HOME))
        .finish();
    see_other(&format!("{SIGN_IN}?{query}"))
}

#[handler]
async fn form(
    request: &Request,
    core: Data<&Arc<Core>>,
    target: Query<Target>,
) -> Result<Response, ApiError> {
    let admin = match visit(request).await {
        Ok(visit) => staff::current(core.0, visit.who.claims.sub).await.ok(),
        Err(_) => None,
    };
    let admin = admin.map(|admin| admin.email);
    let return_to = page_or_home(target.return_to.as_deref());
    Ok(render("sign_in.html", context! { admin, return_to }, CSP)?)
}

#[handler]
async fn sign_in(
    _same_origin: SameOrigin,
    request: &Request,
    core: Data<&Arc<Core>>,
    origin: Origin,
    credentials: Form<Credentials>,
) -> Result<Response, ApiError> {
    let Credentials { email, password, code, return_to } = credentials.0;
    let code = code.as_deref().map(str::trim).filter(|code| !code.is_empty());
    let return_to = page_or_home(return_to.as_deref());
    let device_token = device_token(request.headers());
    let device_token = device_token.as_ref();
    let outcome = match email.trim().parse::<EmailAddress>() {
        Ok(address) => {
            staff_pages::sign_in(core.0, &origin, &address, &password, code, device_token).await
        }
        Err(_) => Err(Code::InvalidCredentials.into()),
    };
    match outcome {
        Ok(SignedIn { token, device_token }) => {
            // Who signs in anew has left the session before (ASVS 5.0, 7.2.4).
            if let Ok(previous) = visit(request).await {
                end(request, core.0, &previous.who).await?;
            }
            let mut response = see_other(&return_to);
            set_cookie(&mut response, &token);
            set_device_cookie(&mut response, &device_token);
            Ok(response)
        }
        Err(error) => {
            let (name, value, status) = match error.code {
                // Of every 401 (RFC 9110, 15.5.2); none of the registered schemes is a form.
                Code::InvalidCredentials
                | Code::SecondFactorRequired
                | Code::InvalidSecondFactor
                | Code::SecondFactorSetupRequired => {
                    (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"), StatusCode::UNAUTHORIZED)
                }
                Code::TooManyRequests => {
                    let wait = error.retry_after.unwrap_or_default().as_secs();
                    (RETRY_AFTER, wait.into(), StatusCode::TOO_MANY_REQUESTS)
                }
                _ => return Err(error.into()),
            };
            let fault = error.code.message();
            let mut page = render("sign_in.html", context! { fault, email, return_to }, CSP)?;
            page.set_status(status);
            page.headers_mut().insert(name, value);
            Ok(page)
        }
    }
}

#[handler]
async fn sign_out(
    request: &Request,
    visitor: Data<&Visitor>,
    core: Data<&Arc<Core>>,
) -> Result<Response, ApiError> {
    end(request, core.0, &visitor.0.0).await?;
    let mut response = see_other(SIGN_IN);
    remove_cookie(&mut response);
    Ok(response)
}

async fn end(request: &Request, core: &Core, who: &Authenticated) -> Result<(), ApiError> {
    let origin = origin(request, Actor::Admin(who.claims.sub))?;
    Ok(core.staff_sessions.end(core, &origin, who.claims.sid).await?)
}

fn page_or_home(page: Option<&str>) -> String {
    page.and_then(local_page).unwrap_or_else(|| HOME.to_owned())
}

/// The address as a browser reads it (WHATWG URL), if it is that of a page for staff on this very
/// server: whoever signs in must not end up elsewhere (ASVS 5.0, 3.7.2).
fn local_page(address: &str) -> Option<String> {
    let here = Url::parse("http://here.invalid").ok()?;
    let url = here.join(address).ok()?;
    let is_ours = url.origin() == here.origin() && url.path().starts_with("/backoffice/");
    is_ours.then(|| url[Position::BeforePath..Position::AfterQuery].to_owned())
}
