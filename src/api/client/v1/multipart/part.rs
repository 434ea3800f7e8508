//! What apps see of files that are uploaded in parts, and of temporary credentials.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::Example};
use secrecy::ExposeSecret;

use crate::{
    adapters::storage::{Part, Presigned, Temporary},
    api::client::v1::files::file::{File, FileUpload, an_id},
};

/// A file that is uploaded in parts.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CreatedMultipartFile {
    /// The file.
    pub file: File,
    /// How large each part is but the last, which has the rest, in bytes.
    pub part_size: i64,
    /// How many parts there are.
    pub parts: i64,
}

/// Parts that are to be uploaded.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct SignFilePartsRequest {
    /// Their numbers, from 1.
    #[oai(validator(
        min_items = 1,
        max_items = 100,
        minimum(value = "1"),
        maximum(value = "10000")
    ))]
    pub numbers: Vec<i32>,
}

/// A part that is to be uploaded.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SignedPart {
    /// Its number, from 1.
    pub number: i32,
    /// How large it is, in bytes.
    pub size: i64,
    /// How to upload it.
    pub upload: FileUpload,
}

/// Parts that are to be uploaded.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SignedParts {
    /// Each of them.
    pub items: Vec<SignedPart>,
}

/// A part that has arrived.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FilePart {
    /// Its number, from 1.
    pub number: i32,
    /// How large it is, in bytes.
    pub size: i64,
}

/// The parts that have arrived.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FileParts {
    /// Each of them, by number.
    pub items: Vec<FilePart>,
}

/// Credentials for the S3 protocol, for a while and a part of the bucket.
#[derive(Debug, Object)]
#[oai(example)]
pub struct TemporaryCredentials {
    /// Who one is to the storage.
    pub access_key_id: String,
    /// The secret that belongs to it.
    pub secret_access_key: String,
    /// What each request has to show as well.
    pub session_token: String,
    /// Until when they are good.
    pub expires_at: DateTime<Utc>,
    /// The storage's address; absent for Amazon's of the region.
    #[oai(skip_serializing_if_is_none)]
    pub endpoint: Option<String>,
    /// The region of the bucket.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// How keys have to begin: an upload of a file that was announced is `prefix` and the file's identifier.
    pub prefix: String,
}

impl From<Part> for FilePart {
    fn from(part: Part) -> Self {
        Self { number: part.number, size: part.size }
    }
}

impl From<(i32, i64, Presigned)> for SignedPart {
    fn from((number, size, signed): (i32, i64, Presigned)) -> Self {
        Self { number, size, upload: signed.into() }
    }
}

impl From<Temporary> for TemporaryCredentials {
    fn from(given: Temporary) -> Self {
        Self {
            access_key_id: given.access_key_id,
            secret_access_key: given.secret_access_key.expose_secret().to_owned(),
            session_token: given.session_token.expose_secret().to_owned(),
            expires_at: given.expires_at,
            endpoint: given.endpoint,
            region: given.region,
            bucket: given.bucket,
            prefix: given.prefix,
        }
    }
}

impl Example for CreatedMultipartFile {
    fn example() -> Self {
        Self { file: File::example(), part_size: 16_777_216, parts: 320 }
    }
}

impl Example for SignFilePartsRequest {
    fn example() -> Self {
        Self { numbers: vec![1, 2] }
    }
}

impl Example for SignedPart {
    fn example() -> Self {
        Self { number: 1, size: 16_777_216, upload: FileUpload::example() }
    }
}

impl Example for SignedParts {
    fn example() -> Self {
        Self { items: vec![SignedPart::example()] }
    }
}

impl Example for FilePart {
    fn example() -> Self {
        Self { number: 1, size: 16_777_216 }
    }
}

impl Example for FileParts {
    fn example() -> Self {
        Self { items: vec![FilePart::example()] }
    }
}

impl Example for TemporaryCredentials {
    fn example() -> Self {
        Self {
            access_key_id: "ASIA…".to_owned(),
            secret_access_key: "wJal…".to_owned(),
            session_token: "IQoJ…".to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
            endpoint: Some("https://s3.example.com".to_owned()),
            region: "eu-central-1".to_owned(),
            bucket: "shop-files".to_owned(),
            prefix: format!("uploads/{}/", an_id()),
        }
    }
}
