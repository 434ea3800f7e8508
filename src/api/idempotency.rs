//! `IdempotencyKey`: makes an operation safe to send again
//! (draft-ietf-httpapi-idempotency-key-header).

use std::sync::Arc;

use poem::{
    Request, RequestBody, Result,
    http::{HeaderMap, HeaderValue},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
};

use super::{
    document::Document,
    error::ApiError,
    middleware::idempotency::{Exchange, KEY, Replay},
    version::Surface,
};
use crate::{
    db::sessions::Realm,
    services::{
        Core, FieldError, ServiceError,
        idempotency::{self, KeyedRequest, Outcome},
    },
};

/// As documents name the header.
pub const NAME: &str = "Idempotency-Key";
/// The longest key, in bytes.
const MAX_LENGTH: usize = 255;

/// An argument of each handler that creates or sends something, after the auth extractor and
/// before the body. Who holds one works on the first request with its key, or on one without.
///
/// All that the handler commits becomes durable with its answer, after it has returned: what it
/// reads from then on outside of its transaction doesn't show it. Never for answers with
/// credentials or signed addresses, because answers are kept.
pub struct IdempotencyKey(());

impl<'a> ApiExtractor<'a> for IdempotencyKey {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    /// See [`header_parameters`](super::header_parameters).
    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            title: Some(NAME.to_owned()),
            description: Some(
                "Any text of your own, such as a UUID, that no other request has. Sent again \
                 within 24 hours with the same key, the request gets the first answer and \
                 `Idempotency-Replayed: true`, and has no second effect.",
            ),
            example: Some("01975b2e-7c40-7000-8000-000000000001".into()),
            min_length: Some(1),
            max_length: Some(MAX_LENGTH),
            pattern: Some("^[!-~]+$".to_owned()),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let Some(key) = key(request.headers())? else { return Ok(Self(())) };
        let (Some(core), Some(document), Some(exchange)) = (
            request.data::<Arc<Core>>(),
            request.data::<Arc<Document>>(),
            request.data::<Exchange>(),
        ) else {
            return Err(ApiError(ServiceError::internal("a layer is missing")).into());
        };
        let raw = body.take()?.into_bytes().await?;
        *body = RequestBody::new(raw.clone().into());
        let uri = request.original_uri();
        let keyed = KeyedRequest {
            realm: match document.surface {
                Surface::Client => Realm::Client,
                Surface::Backoffice => Realm::Backoffice,
            },
            actor: exchange.actor(),
            key,
            method: request.method().as_str(),
            target: uri.path_and_query().map_or(uri.path(), |target| target.as_str()),
            body: &raw,
        };
        match idempotency::claim(core, &keyed).await.map_err(ApiError)? {
            Outcome::First(claim) => {
                exchange.hold(claim);
                Ok(Self(()))
            }
            Outcome::Repeated(answer) => Err(Replay(answer).into()),
        }
    }
}

/// The key, if there is one.
fn key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let refused = |message: &str| {
        let fault = FieldError::new(NAME, "pattern", message);
        ApiError(ServiceError::invalid(vec![fault]))
    };
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(refused("must be sent once"));
    }
    let is_sane = |key: &&HeaderValue| {
        (1..=MAX_LENGTH).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let key = Some(key).filter(is_sane).and_then(|key| key.to_str().ok());
    key.map(Some).ok_or_else(|| refused("must have 1 to 255 visible ASCII characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_visible_text() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_bytes(value).expect("a value"));
            }
            key(&headers).map(|key| key.map(str::to_owned)).map_err(|error| error.0.fields)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"!~\"a,b\""]), Ok(Some("!~\"a,b\"".to_owned())));
        assert!(read(&[&[b'x'; 255]]).is_ok());
        for refused in [&[&b""[..]][..], &[b"a b"], &[b"a\xe4"], &[b"a", b"a"], &[&[b'x'; 256]]] {
            assert_eq!(read(refused).expect_err("refused")[0].field, NAME, "{refused:?}");
        }
    }
}
