//! HEAD and OPTIONS, which every route has (RFC 9110, 9.3.2 and 9.3.7).

use poem::{
    Body, Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderValue, Method, StatusCode, header},
};

use super::content_length;

/// The layer.
pub struct CommonMethods;

impl<E: Endpoint> Middleware<E> for CommonMethods {
    type Output = CommonMethodsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        CommonMethodsEndpoint { inner }
    }
}

/// What [`CommonMethods`] makes of an endpoint.
pub struct CommonMethodsEndpoint<E> {
    inner: E,
}

impl<E: Endpoint> Endpoint for CommonMethodsEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let is_head = request.method() == Method::HEAD;
        if is_head {
            request.set_method(Method::GET);
        }
        let is_options = request.method() == Method::OPTIONS;
        // Asks for the server as a whole, of which there is nothing to say.
        let is_for_all = is_options && request.uri().path() == "*";
        let response = self.inner.call(request).await?.into_response();
        Ok(match response.headers().get(header::ALLOW) {
            Some(allow) if is_options => options(allow.clone()),
            None if is_for_all && response.status() == StatusCode::NOT_FOUND => {
                StatusCode::NO_CONTENT.into()
            }
            _ if is_head => without_body(response),
            _ => response,
        })
    }
}

/// A route doesn't know the method, and says which ones it does know.
fn options(allow: HeaderValue) -> Response {
    Response::builder().status(StatusCode::NO_CONTENT).header(header::ALLOW, allow).finish()
}

/// The headers are those of GET, with the length of its body, if it has one.
fn without_body(mut response: Response) -> Response {
    let has_body = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = content_length(&mut response).filter(|_| has_body);
    response.set_body(Body::empty());
    if let Some(length) = length {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    response
}
