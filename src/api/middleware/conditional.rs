//! Conditional requests (RFC 9110, 13): answers get the tag of their body, and who already has it
//! gets 304. Changes compare `If-Match` themselves, under the lock of the row.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use poem_openapi::OperationId;
use serde_json::{Value, json};

use crate::{
    api::{
        document::Document,
        error::ApiError,
        etag::{self, Condition, EntityTag},
        header_parameters,
    },
    services::{Code, ServiceError},
};

/// Of what answers are made that have a tag.
const TAGGED: [&str; 2] = ["application/json", "image/jpeg"];

/// What these answer differs each time.
const UNTAGGED: [&str; 1] = ["get_health"];

/// The layer, around one version of an API.
pub struct Conditional {
    document: Arc<Document>,
}

impl Conditional {
    /// The document tells which operations' answers have a tag.
    #[must_use]
    pub fn new(document: Arc<Document>) -> Self {
        Self { document }
    }
}

impl<E: Endpoint> Middleware<E> for Conditional {
    type Output = ConditionalEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ConditionalEndpoint { inner, document: self.document.clone() }
    }
}

/// What [`Conditional`] makes of an endpoint.
pub struct ConditionalEndpoint<E> {
    inner: E,
    document: Arc<Document>,
}

impl<E: Endpoint> Endpoint for ConditionalEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let conditions =
            (request.method() == Method::GET).then(|| Conditions::read(request.headers()));
        let is_anybody = !request.headers().contains_key(header::AUTHORIZATION);
        let mut response = self.inner.call(request).await?.into_response();
        if self.is_tagged(&response) {
            let tag = tag_of(&mut response).await?;
            if let Some(conditions) = conditions {
                if is_anybody {
                    // Whoever keeps it asks each time whether it is still right.
                    let asked = HeaderValue::from_static("no-cache");
                    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(asked);
                }
                response = conditions.apply(response, &tag)?;
            }
        }
        Ok(response)
    }
}

/// What an answer states, or that of its body, which states it then.
async fn tag_of(response: &mut Response) -> Result<EntityTag> {
    if let Some(tag) = EntityTag::stated(response.headers()) {
        return Ok(tag);
    }
    let body = response.take_body().into_bytes().await.map_err(unreadable)?;
    let tag = EntityTag::of_body(&body);
    response.headers_mut().extend(tag.header().map(|value| (header::ETAG, value)));
    response.set_body(body);
    Ok(tag)
}

impl<E> ConditionalEndpoint<E> {
    fn is_tagged(&self, response: &Response) -> bool {
        let is_one = |kind: &str| TAGGED.iter().any(|tagged| kind.starts_with(tagged));
        let is_tagged = || response.content_type().is_some_and(is_one);
        let operation = response.data::<OperationId>();
        response.status() == StatusCode::OK
            && operation.is_some_and(|id| self.document.is_tagged(id.0))
            && is_tagged()
    }
}

fn unreadable(error: poem::error::ReadBodyError) -> ApiError {
    ServiceError::internal(error).into()
}

/// What a reader asks for.
struct Conditions {
    matching: Result<Option<Condition>, ApiError>,
    none_matching: Option<Condition>,
}

impl Conditions {
    /// An `If-None-Match` that is no list of tags names no present state (RFC 9110, 13.1.2).
    fn read(headers: &HeaderMap) -> Self {
        Self {
            matching: Condition::read(headers, header::IF_MATCH),
            none_matching: Condition::read(headers, header::IF_NONE_MATCH).ok().flatten(),
        }
    }

    /// In the order of RFC 9110, 13.2.2.
    fn apply(self, mut response: Response, tag: &EntityTag) -> Result<Response> {
        let is_met = |matching: Option<Condition>| matching.is_none_or(|one| one.is_met_by(tag));
        let refused = match self.matching.map(is_met) {
            Ok(true) => None,
            Ok(false) => Some(Code::PreconditionFailed.into()),
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            let mut error = poem::Error::from(error);
            if let Some(pattern) = response.data::<PathPattern>() {
                error.set_data(pattern.clone());
            }
            return Err(error);
        }
        if let Some(held) = self.none_matching.and_then(|condition| condition.held(tag)) {
            // Other headers are those of the 200 (15.4.5).
            response.set_status(StatusCode::NOT_MODIFIED);
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().insert(header::ETAG, held);
            response.set_body(());
        }
        Ok(response)
    }
}

/// Says in the document what this layer does with an operation, and whether it does anything.
pub(in crate::api) fn describe(method: &str, operation: &mut Value) -> bool {
    let answers = operation["responses"]["200"]["content"].as_object();
    let is_one = |kind: &str| TAGGED.iter().any(|tagged| kind.starts_with(tagged));
    let has_one = answers.is_some_and(|kinds| kinds.keys().any(|kind| is_one(kind)));
    let is_read = method == "get" && !UNTAGGED.iter().any(|id| operation["operationId"] == *id);
    if !has_one || !(is_read || header_parameters::has(operation, etag::IF_MATCH)) {
        return false;
    }
    let tag = json!({
        "description": "The tag of what this answers.",
        "schema": {"type": "string", "example": etag::EXAMPLE}
    });
    operation["responses"]["200"]["headers"]["ETag"] = tag.clone();
    if is_read {
        operation["responses"]["304"] = json!({
            "description": "What `If-None-Match` names is still the present state.",
            "headers": {"ETag": tag}
        });
        let tags = json!({"type": "string", "example": etag::EXAMPLE});
        let mut only_tags = tags.clone();
        only_tags["pattern"] = etag::PATTERN.into();
        let parameters = [
            (etag::IF_MATCH, "412 if that has changed.", only_tags),
            ("If-None-Match", "304 if nothing has changed.", tags),
        ]
        .map(|(name, effect, schema)| {
            json!({
                "name": name,
                "in": "header",
                "description": format!("The `ETag` of an earlier answer: {effect}"),
                "required": false,
                "schema": schema
            })
        });
        match operation["parameters"].as_array_mut() {
            Some(listed) => listed.extend(parameters),
            None => operation["parameters"] = json!(parameters),
        }
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        responses.sort_keys();
    }
    true
}
