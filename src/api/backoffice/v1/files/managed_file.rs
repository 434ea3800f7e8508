//! What staff see of files.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{
    adapters::{
        random::hex,
        storage::{Listed, Listing, Presigned, Temporary},
    },
    api::same::same,
    db::{
        file_spaces::FileSpace,
        files::{self as rows, FilePurpose, FileState},
    },
};

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedFilePurpose {
    /// A picture of its owner, for everybody.
    Avatar,
    /// The picture of a post, for everybody.
    PostCover,
    /// Anything else.
    Attachment,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedFileState {
    /// It is to be uploaded.
    Pending,
    /// It is being worked on.
    Processing,
    /// It can be used.
    Ready,
    /// It is of no use, and goes soon.
    Failed,
}

/// A file of a user.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedFile {
    /// The file's identifier.
    pub id: Uuid,
    /// The user whose it is.
    pub owner_id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// In bytes.
    pub size: i64,
    /// What it is for.
    pub purpose: ManagedFilePurpose,
    /// How far it is.
    pub state: ManagedFileState,
    /// The SHA-256 of its bytes in hexadecimal digits, where it is known.
    #[oai(skip_serializing_if_is_none)]
    pub sha256: Option<String>,
    /// How wide the picture is, in pixels, where one was made.
    #[oai(skip_serializing_if_is_none)]
    pub width: Option<i32>,
    /// How high the picture is, in pixels, where one was made.
    #[oai(skip_serializing_if_is_none)]
    pub height: Option<i32>,
    /// When it is given up; absent where it isn't.
    #[oai(skip_serializing_if_is_none)]
    pub expires_at: Option<DateTime<Utc>>,
    /// When its upload was completed; absent until then.
    #[oai(skip_serializing_if_is_none)]
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was announced.
    pub created_at: DateTime<Utc>,
}

/// The address of a preview.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FilePreview {
    /// The address, which is a secret for as long as it is good. A browser shows a picture, and saves anything else.
    pub url: String,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

/// Why a file is deleted.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct DeleteFileRequest {
    /// For the audit log.
    #[oai(validator(
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
    ))]
    pub reason: String,
}

/// What a user has filled with files.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FileUsage {
    /// The user.
    pub user_id: Uuid,
    /// How many files.
    pub files: i64,
    /// How large they are together, in bytes.
    pub bytes: i64,
}

/// An object in the storage that belongs to no file.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Orphan {
    /// Its key.
    pub key: String,
    /// In bytes.
    pub size: i64,
}

/// Objects in the storage that belong to no file.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Orphans {
    /// Of the objects that were looked at, those that belong to no file.
    pub items: Vec<Orphan>,
    /// The `after` by which to look at the next ones; absent at the end.
    #[oai(skip_serializing_if_is_none)]
    pub next_after: Option<String>,
}

/// Credentials for the S3 protocol, for a while and a part of the bucket.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffCredentials {
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
    /// How keys have to begin.
    pub prefix: String,
}

impl From<rows::File> for ManagedFile {
    fn from(row: rows::File) -> Self {
        Self {
            id: row.id,
            owner_id: row.owner_id,
            name: row.name,
            content_type: row.content_type,
            size: row.size,
            purpose: row.purpose.into(),
            state: row.state.into(),
            sha256: row.sha256.as_deref().map(hex),
            width: row.width,
            height: row.height,
            expires_at: row.expires_at,
            completed_at: row.completed_at,
            created_at: row.created_at,
        }
    }
}

same! {
    ManagedFilePurpose = FilePurpose: Avatar, PostCover, Attachment;
    ManagedFileState = FileState: Pending, Processing, Ready, Failed;
}

impl From<Presigned> for FilePreview {
    fn from(signed: Presigned) -> Self {
        Self { url: signed.url, expires_at: signed.expires_at }
    }
}

impl From<FileSpace> for FileUsage {
    fn from(space: FileSpace) -> Self {
        Self { user_id: space.user_id, files: space.files, bytes: space.bytes }
    }
}

impl From<Listing> for Orphans {
    fn from(listing: Listing) -> Self {
        let items = listing.objects.into_iter().map(|Listed { key, size }| Orphan { key, size });
        Self { items: items.collect(), next_after: listing.next }
    }
}

impl From<Temporary> for StaffCredentials {
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

pub(super) fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Example for ManagedFile {
    fn example() -> Self {
        Self {
            id: an_id(),
            owner_id: an_id(),
            name: "Timetable.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size: 48_213,
            purpose: ManagedFilePurpose::Attachment,
            state: ManagedFileState::Ready,
            sha256: Some(SHA256.to_owned()),
            width: Some(1600),
            height: Some(900),
            expires_at: Some(DateTime::UNIX_EPOCH),
            completed_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for FilePreview {
    fn example() -> Self {
        let url = "https://files.example.com/files/…".to_owned();
        Self { url, expires_at: DateTime::UNIX_EPOCH }
    }
}

impl Example for DeleteFileRequest {
    fn example() -> Self {
        Self { reason: "It is somebody else's work.".to_owned() }
    }
}

impl Example for FileUsage {
    fn example() -> Self {
        Self { user_id: an_id(), files: 12, bytes: 48_213_000 }
    }
}

impl Example for Orphan {
    fn example() -> Self {
        Self { key: format!("files/{}/{}", an_id(), an_id()), size: 48_213 }
    }
}

impl Example for Orphans {
    fn example() -> Self {
        Self { items: vec![Orphan::example()], next_after: Some(Orphan::example().key) }
    }
}

impl Example for StaffCredentials {
    fn example() -> Self {
        Self {
            access_key_id: "ASIA…".to_owned(),
            secret_access_key: "wJal…".to_owned(),
            session_token: "IQoJ…".to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
            endpoint: Some("https://s3.example.com".to_owned()),
            region: "eu-central-1".to_owned(),
            bucket: "shop-files".to_owned(),
            prefix: format!("staff/{}/", an_id()),
        }
    }
}
