//! `Body<T>`: a JSON body whose failure names every bad field in one answer.

use std::sync::Arc;

use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::{
    impl_apirequest_for_payload,
    payload::{Json, ParsePayload, Payload},
    registry::{MetaSchemaRef, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;

use super::{document::Document, error::ApiError, validation};
use crate::services::{Code, FieldError, ServiceError};

/// U+0000 as JSON writes it, which knows no other way (RFC 8259, 7).
const NUL: &[u8] = br"\u0000";

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let raw = Vec::<u8>::from_request(request, body).await?;
        let malformed = |error| ServiceError::from(Code::Malformed).caused_by(error);
        let value: Value =
            serde_json::from_slice(&raw).map_err(|e: serde_json::Error| ApiError(malformed(e)))?;
        // PostgreSQL has no text with U+0000: such a field is refused wherever it stands.
        let mut faults = Vec::new();
        if raw.windows(NUL.len()).any(|window| window == NUL) {
            faults = validation::nul_characters(&value);
        }
        if faults.is_empty() {
            faults = published_faults::<T>(request, &value);
        }
        if faults.is_empty() {
            match T::parse_from_json(Some(value)) {
                Ok(parsed) => return Ok(Self(parsed)),
                Err(_) => faults.push(FieldError::new("", "invalid", "is not valid")),
            }
        }
        Err(ApiError(ServiceError::invalid(faults)).into())
    }
}

impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);

/// Every fault by the published schema. poem-openapi's own parsers stop at the first, and take
/// a number or a boolean for a text.
fn published_faults<T: Type>(request: &Request, value: &Value) -> Vec<FieldError> {
    match (request.data::<Arc<Document>>(), T::schema_ref()) {
        (Some(document), MetaSchemaRef::Reference(name)) => {
            validation::check(document, document.schema(&name), value)
        }
        _ => Vec::new(),
    }
}
