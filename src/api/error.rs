//! Every failure, whoever raised it, becomes the envelope here.

use std::io;

use poem::{
    IntoResponse, Response,
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    error::{AuthorizationError, ContentTypeError, ParsePathError},
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use super::envelope::{ErrorResponse, InvalidField};
use crate::{
    services::{Code, Kind, ServiceError},
    telemetry::Chain,
};

/// A service's failure on its way out of a handler.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ApiError(#[from] pub ServiceError);

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self(code.into())
    }
}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        status(self.0.code.kind())
    }
}

/// The failures of each operation; `document.rs` leaves out those that it can't have.
pub(super) const DOCUMENTED: [(u16, &str); 14] = [
    (400, "The request can't be read."),
    (401, "No token, or one that is not valid; or wrong credentials."),
    (403, "Signed in, but not allowed."),
    (404, "Not there, or not yours."),
    (408, "The body came too slowly."),
    (409, "In conflict with the present state."),
    (412, "`If-Match` names another state than the present one."),
    (413, "The body is too large."),
    (415, "The body is not JSON, or compressed by something else than gzip."),
    (422, "Some fields are not valid; `errors` lists every one."),
    (
        429,
        "Too many tries, by this client or for this account; try again after `Retry-After` seconds.",
    ),
    (500, "A fault of the server."),
    (501, "This installation has no such part."),
    (503, "Unavailable or busy; try again after `Retry-After` seconds."),
];

impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        let response = |status, description| MetaResponse {
            description,
            status,
            status_range: None,
            content: vec![MetaMediaType {
                content_type: Json::<ErrorResponse>::CONTENT_TYPE,
                schema: ErrorResponse::schema_ref(),
            }],
            headers: Vec::new(),
        };
        let named = DOCUMENTED.iter().map(|(status, text)| response(Some(*status), *text));
        let default = response(None, "Any other failure.");
        MetaResponses { responses: named.chain([default]).collect() }
    }

    fn register(registry: &mut Registry) {
        ErrorResponse::register(registry);
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::SlowClient => StatusCode::REQUEST_TIMEOUT,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::NotConfigured => StatusCode::NOT_IMPLEMENTED,
    }
}

/// What the libraries raise, in our terms. Their texts never go out.
pub(super) fn classify(error: poem::Error) -> ServiceError {
    if error.is::<ApiError>() {
        return match error.downcast::<ApiError>() {
            Ok(ApiError(error)) => error,
            Err(error) => ServiceError::internal(error.to_string()),
        };
    }
    let code = if error.is::<AuthorizationError>() {
        Code::Unauthenticated
    } else if error.is::<NotFoundError>() || error.is::<poem::error::ParsePathError>() {
        Code::RouteNotFound
    } else if error.is::<ParsePathError>() {
        // No object has such an id.
        Code::NotFound
    } else if error.is::<MethodNotAllowedError>() {
        Code::MethodNotAllowed
    } else if error.is::<ContentTypeError>() {
        Code::UnsupportedMediaType
    } else if is_late_body(&error) {
        Code::SlowBody
    } else if error.status().is_client_error() {
        Code::Malformed
    } else {
        Code::Internal
    };
    ServiceError::from(code).caused_by(error.to_string())
}

/// Whether the server gave up on a body that came too slowly.
fn is_late_body(error: &poem::Error) -> bool {
    // poem puts what it gets into another one.
    fn is_late(error: &io::Error) -> bool {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(is_late)
    }
    matches!(error.downcast_ref(), Some(ReadBodyError::Io(error)) if is_late(error))
}

/// Logs a failure once, with its cause, and puts it into the envelope.
pub(super) fn render(error: &ServiceError, request_id: &str) -> Response {
    match error.code.kind() {
        Kind::Internal => tracing::error!("{}{}", Chain(error), error.backtrace),
        // Those who are too many are counted instead, and who comes while it is closed is no fault.
        Kind::Unavailable if ![Code::Busy, Code::Maintenance].contains(&error.code) => {
            tracing::warn!("{}", Chain(error));
        }
        _ => tracing::debug!("{}", Chain(error)),
    }
    let fields = error.fields.iter().map(|fault| InvalidField {
        field: fault.field.clone(),
        error: fault.rule.to_owned(),
        message: fault.message.clone(),
    });
    let body = ErrorResponse {
        code: error.code.number(),
        message: error.message.clone().unwrap_or_else(|| error.code.message().to_owned()),
        error: error.code.identifier().to_owned(),
        errors: (!error.fields.is_empty()).then(|| fields.collect()),
        request_id: request_id.to_owned(),
    };
    // poem-openapi would make a tree of values of it first, and refusals are many.
    let mut response = poem::web::Json(body).into_response();
    response.set_status(status(error.code.kind()));
    let headers = response.headers_mut();
    if let Some(pause) = error.retry_after {
        headers.insert(header::RETRY_AFTER, pause.as_secs().max(1).into());
    }
    if error.code == Code::UnsupportedEncoding {
        // RFC 9110, 15.5.16.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
    }
    if error.code.kind() == Kind::Unauthenticated {
        // RFC 6750, 3: a token that came and was refused is named as the reason.
        let challenge = match error.code {
            Code::InvalidToken | Code::TokenExpired | Code::SessionEnded => {
                "Bearer error=\"invalid_token\""
            }
            _ => "Bearer",
        };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}
