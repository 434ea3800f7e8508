//! `Body<T>`: a JSON body whose failure names every bad field in one answer.

use std::sync::Arc;

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, impl_apirequest_for_payload,
    payload::{Json, ParsePayload, Payload},
    registry::{MetaRequest, MetaSchemaRef, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;

use super::{document::Document, error::ApiError, json, validation};
use crate::services::{FieldError, ServiceError};

/// A JSON body.
pub struct Body<T>(pub T);

/// A JSON body that may be missing.
pub struct OptionalBody<T>(pub Option<T>);

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

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        <Body<T> as ApiExtractor>::request_meta()
            .map(|meta| MetaRequest { required: false, ..meta })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let raw = body.take()?.into_bytes().await?;
        if raw.is_empty() {
            return Ok(Self(None));
        }
        *body = RequestBody::new(raw.into());
        let read = <Body<T> as ApiExtractor>::from_request(request, body, options).await?;
        Ok(Self(Some(read.0)))
    }
}

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
