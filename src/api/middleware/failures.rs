//! The one way out for failures: from here on there are only answers.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    error::MethodNotAllowedError,
    http::{HeaderValue, Method, header},
};
use poem_openapi::error::ParseParamError;

use super::{
    super::{document::Document, error, pages},
    edge::RequestId,
    refusals::{Refusals, Refused},
};
use crate::services::{Code, FieldError, ServiceError};

/// The layer, and the way out for what fails before it.
#[derive(Clone)]
pub struct Failures {
    documents: Arc<[Arc<Document>]>,
    refusals: Arc<Refusals>,
}

impl Failures {
    /// The documents tell which methods a route has.
    #[must_use]
    pub fn new(documents: Arc<[Arc<Document>]>) -> Self {
        Self { documents, refusals: Arc::default() }
    }
}

impl<E: Endpoint> Middleware<E> for Failures {
    type Output = FailuresEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        FailuresEndpoint { inner, layer: self.clone() }
    }
}

/// What [`Failures`] makes of an endpoint.
pub struct FailuresEndpoint<E> {
    inner: E,
    layer: Failures,
}

impl<E: Endpoint> Endpoint for FailuresEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let id = request.data::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let method = request.method().clone();
        let mut response = match self.inner.call(request).await {
            Ok(output) => output.into_response(),
            Err(error) => self.layer.answer(error, &id),
        };
        self.layer.announce(&mut response, &method);
        Ok(response)
    }
}

impl Failures {
    /// Has the cause logged once, and tells the caller as much as may be told.
    pub fn answer(&self, error: poem::Error, id: &str) -> Response {
        let pattern = error.data::<PathPattern>().cloned();
        let route = pattern.as_ref().map(|pattern| &*pattern.0).unwrap_or_default();
        let is_wrong_method = error.is::<MethodNotAllowedError>();
        let failure = match error.downcast_ref::<ParseParamError>() {
            // Faults that the document knows have been named before.
            Some(error) => {
                ServiceError::invalid(vec![FieldError::new(error.name, "invalid", "is not valid")])
            }
            None => error::classify(error),
        };
        let mut response = self.render(&failure, id);
        if is_wrong_method {
            let allow = self.documents.iter().find_map(|document| document.allow(route));
            if let Ok(allow) = HeaderValue::from_str(allow.unwrap_or(pages::allow(route))) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
        }
        if let Some(pattern) = pattern {
            response.set_data(pattern);
        }
        response
    }

    /// The answer to one of too many.
    pub fn refuse(&self, id: &str) -> Response {
        self.render(&Code::Busy.into(), id)
    }

    fn render(&self, failure: &ServiceError, id: &str) -> Response {
        let mut response = error::render(failure, id);
        if failure.code == Code::Busy {
            self.refusals.note();
            response.set_data(Refused);
        }
        response
    }

    /// Each answer of an operation that is on its way out says so, failures too.
    fn announce(&self, response: &mut Response, method: &Method) {
        let Some(pattern) = response.data::<PathPattern>().cloned() else { return };
        let notices =
            self.documents.iter().find_map(|document| document.notices(method, &pattern.0));
        for (name, value) in notices.into_iter().flatten() {
            response.headers_mut().append(name, value.clone());
        }
    }
}
