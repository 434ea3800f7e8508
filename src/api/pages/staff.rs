//! Pages for staff only. A browser shows a cookie that opens these pages and no operation of the
//! API, and sends forms from our own pages only.

use std::sync::Arc;

use cookie::{Cookie, SameSite, time::Duration};
use poem::{
    Endpoint, FromRequest, IntoResponse, Middleware, Request, RequestBody, Response, Result,
    http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
};
use secrecy::SecretString;

use super::{
    super::{
        auth::{self, Visitor},
        error::ApiError,
    },
    sign_in,
};
use crate::{
    db::Actor,
    services::{
        Code, Kind, ServiceError,
        devices::DEVICE_LIFE,
        sessions::PageToken,
        staff_pages::{self, Visit},
    },
};

/// Browsers take a cookie of such a name only with `Secure`, for every path, and from the host
/// itself (RFC 6265bis, 4.1.3.2; ASVS 5.0, 3.3.1 and 3.3.3).
const COOKIE: &str = "__Host-twofold-staff";

/// Tells a browser in which staff has signed in before; it stays when they sign out.
const DEVICE_COOKIE: &str = "__Host-twofold-device";

/// The layer around pages for staff. The endpoint inside finds the [`Visitor`] in the request's data;
/// who isn't signed in is led to the sign-in page, or answered 401 when it is no page that they ask for.
pub(super) struct StaffOnly;

impl<E: Endpoint> Middleware<E> for StaffOnly {
    type Output = StaffOnlyEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        StaffOnlyEndpoint(inner)
    }
}

/// What [`StaffOnly`] makes of an endpoint.
pub(super) struct StaffOnlyEndpoint<E>(E);

impl<E: Endpoint> Endpoint for StaffOnlyEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        if !request.method().is_safe() {
            check_same_origin(&request)?;
        }
        let Visit { who, renewed } = match visit(&request).await {
            Ok(visit) => visit,
            Err(error) if error.code.kind() == Kind::Unauthenticated && wants_page(&request) => {
                return Ok(sign_in::lead_to(&request));
            }
            Err(error) => return Err(ApiError(error).into()),
        };
        request.set_data(Visitor(Arc::new(who)));
        let mut response = self.0.call(request).await?.into_response();
        // The sign-out takes it away instead.
        if let Some(token) = renewed
            && !response.headers().contains_key(header::SET_COOKIE)
        {
            set_cookie(&mut response, &token);
        }
        Ok(response)
    }
}

/// Who looks at a page, and the token that replaces theirs when it is time.
///
/// # Errors
/// As [`staff_pages::visit`]; [`Code::Unauthenticated`] without a cookie.
pub(super) async fn visit(request: &Request) -> Result<Visit, ServiceError> {
    let token = cookie(request.headers(), COOKIE).ok_or(Code::Unauthenticated)?;
    let core = auth::core(request).map_err(|error| error.0)?;
    let origin = auth::origin(request, Actor::Anonymous).map_err(|error| error.0)?;
    staff_pages::visit(core, &origin, &token).await
}

/// HTTP/2 may cut the cookies into several headers (RFC 9113, 8.2.3).
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = texts.flat_map(Cookie::split_parse).flatten();
    cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}

/// What the last sign-in in this browser gave it.
pub(super) fn device_token(headers: &HeaderMap) -> Option<SecretString> {
    cookie(headers, DEVICE_COOKIE).map(Into::into)
}

/// As a browser says it that follows a link.
fn wants_page(request: &Request) -> bool {
    request.header(header::ACCEPT).is_some_and(|types| types.contains("text/html"))
}

/// Gives the browser the token.
pub(super) fn set_cookie(response: &mut Response, token: &PageToken) {
    put_cookie(response, COOKIE, &token.token, Duration::seconds(token.expires_in));
}

/// Gives the browser what tells it at its next sign-in.
pub(super) fn set_device_cookie(response: &mut Response, token: &str) {
    put_cookie(response, DEVICE_COOKIE, token, Duration::seconds(DEVICE_LIFE.num_seconds()));
}

/// Takes it away.
pub(super) fn remove_cookie(response: &mut Response) {
    put_cookie(response, COOKIE, "", Duration::ZERO);
}

fn put_cookie(response: &mut Response, name: &str, value: &str, max_age: Duration) {
    let cookie = Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(max_age);
    // A token has no character that a header may not have.
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Where users reach us, if the settings say so; in the data of requests.
#[derive(Debug, Clone)]
pub(crate) struct PublicOrigin(pub Option<String>);

/// The proof that a form was sent from one of our own pages.
pub(super) struct SameOrigin;

impl<'a> FromRequest<'a> for SameOrigin {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(check_same_origin(request).map(|()| Self)?)
    }
}

/// Every browser says where a form comes from (ASVS 5.0, 3.5.1): `Origin` has to be what the request
/// is addressed to, or, behind a proxy that changes that, the public address.
fn check_same_origin(request: &Request) -> Result<(), ApiError> {
    let is_foreign_site =
        request.header("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let origin = request.header(header::ORIGIN).unwrap_or_default();
    // Where the address names a host, as in HTTP/2, that one counts.
    let host = request.uri().authority().map(Authority::as_str).or(request.header(header::HOST));
    let authority = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
    let is =
        |one: Option<&str>, other: &str| one.is_some_and(|one| one.eq_ignore_ascii_case(other));
    let is_addressed = authority.is_some_and(|authority| is(host, authority));
    let public = request.data::<PublicOrigin>().and_then(|public| public.0.as_deref());
    if !is_foreign_site && (is_addressed || is(public, origin)) {
        return Ok(());
    }
    let error = ServiceError::from(Code::Forbidden);
    Err(ApiError(error.caused_by("a form came from elsewhere than our own pages")))
}

/// After a form: the browser gets the page.
pub(super) fn see_other(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}
