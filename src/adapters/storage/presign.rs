//! URLs by which others upload and download, without a word to us.

use std::time::SystemTime;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Storage, StorageError, step};
use crate::telemetry::Chain;

pub(super) const SIGN: &str = "sign a URL";

/// A request that somebody else may send, as it stands and for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    pub method: String,
    pub url: String,
    /// They are signed, too: the storage refuses others.
    pub headers: Vec<(String, String)>,
    pub expires_at: DateTime<Utc>,
}

impl Storage {
    /// A request that makes an object: of this type, so long, and with this SHA-256 if one is given.
    ///
    /// # Errors
    /// When it can't be signed.
    pub async fn presign_put(
        &self,
        key: &str,
        (content_type, size, sha256): (&str, i64, Option<&[u8]>),
        (now, life): (DateTime<Utc>, TimeDelta),
    ) -> Result<Presigned, StorageError> {
        let put = self.signer.put_object().bucket(&self.bucket).key(self.key(key));
        let put = put.content_type(content_type).content_length(size);
        let put = put.set_checksum_sha256(sha256.map(|sha256| STANDARD.encode(sha256)));
        let signed = step(SIGN, put.presigned(timing(now, life)?)).await?;
        Ok(presigned(&signed, now + life))
    }

    /// A request that reads an object, answered with this type and disposition.
    ///
    /// # Errors
    /// When it can't be signed.
    pub async fn presign_get(
        &self,
        key: &str,
        (content_type, disposition): (&str, &str),
        (now, life): (DateTime<Utc>, TimeDelta),
    ) -> Result<Presigned, StorageError> {
        let get = self.signer.get_object().bucket(&self.bucket).key(self.key(key));
        let get = get.response_content_type(content_type).response_content_disposition(disposition);
        let signed = step(SIGN, get.presigned(timing(now, life)?)).await?;
        Ok(presigned(&signed, now + life))
    }
}

pub(super) fn timing(
    now: DateTime<Utc>,
    life: TimeDelta,
) -> Result<PresigningConfig, StorageError> {
    let failed = |why: String| StorageError { step: SIGN, why };
    let life = life.to_std().map_err(|error| failed(error.to_string()))?;
    let config = PresigningConfig::builder().start_time(SystemTime::from(now)).expires_in(life);
    config.build().map_err(|error| failed(Chain(&error).to_string()))
}

pub(super) fn presigned(request: &PresignedRequest, expires_at: DateTime<Utc>) -> Presigned {
    let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Presigned {
        method: request.method().to_owned(),
        url: request.uri().to_owned(),
        headers: headers.collect(),
        expires_at,
    }
}
