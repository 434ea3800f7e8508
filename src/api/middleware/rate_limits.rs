//! Tells callers how their budgets of tries stand: `RateLimit-Policy` and `RateLimit` as in
//! draft-ietf-httpapi-ratelimit-headers-10.

use std::fmt::Write;

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderMap, HeaderName, HeaderValue},
};

use crate::adapters::limiter::{Standing, Tally, Told, whole_seconds};

/// What a budget holds (`q`), and in how many seconds all of it comes back (`w`).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it (`r`), and in how many seconds a try more comes back (`t`).
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The operations whose tries are counted. Each calls `Limits::check` in its service.
pub const COUNTED: [&str; 22] = [
    "register_user",
    "verify_email",
    "resend_code",
    "login_user",
    "login_user_with_second_factor",
    "step_up_user",
    "confirm_totp",
    "refresh_user_session",
    "forgot_password",
    "reset_password",
    "change_password",
    "change_email",
    "confirm_email",
    "accept_invitation",
    "forgot_admin_password",
    "reset_admin_password",
    "login_admin",
    "login_admin_with_second_factor",
    "step_up_admin",
    "confirm_admin_totp",
    "refresh_admin_session",
    "change_admin_password",
];

/// The layer.
pub struct RateLimits;

impl<E: Endpoint<Output = Response>> Middleware<E> for RateLimits {
    type Output = RateLimitsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RateLimitsEndpoint(inner)
    }
}

/// What [`RateLimits`] makes of an endpoint.
pub struct RateLimitsEndpoint<E>(E);

impl<E: Endpoint<Output = Response>> Endpoint for RateLimitsEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let tally = Tally::new();
        request.set_data(tally.clone());
        let mut response = self.0.call(request).await?.into_response();
        add(response.headers_mut(), &tally.read());
        Ok(response)
    }
}

fn add(headers: &mut HeaderMap, budgets: &[Told]) {
    if budgets.is_empty() {
        return;
    }
    let (mut policy, mut limit) = (String::new(), String::new());
    for Told { name, quota, standing } in budgets {
        let comma = if policy.is_empty() { "" } else { ", " };
        let (left, next) = match *standing {
            Standing::Left { tries, next_in } => (tries, next_in),
            Standing::Refused { wait } => (0, wait),
        };
        let (window, next) = (whole_seconds(quota.period), whole_seconds(next));
        // Writing to a string cannot fail.
        let _ = write!(policy, "{comma}\"{name}\";q={};w={window}", quota.tries);
        let _ = write!(limit, "{comma}\"{name}\";r={left};t={next}");
    }
    for (name, text) in [(POLICY, policy), (LIMIT, limit)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}
