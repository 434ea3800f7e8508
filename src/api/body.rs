//! `Body<T>`: a JSON body whose failure names every bad field in one answer.

use std::sync::Arc;

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    impl_apirequest_for_payload,
    payload::{Json, ParsePayload, Payload},
    registry::{MetaSchemaRef, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;

use super::{document::Document, error::ApiError, json, validation};
use crate::services::{FieldError, ServiceError};

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
        let raw = body.take()?.into_bytes().await?;
        let value = json::read(&raw).map_err(ApiError)?;
        let mut faults = published_faults::<T>(request, &value);
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
