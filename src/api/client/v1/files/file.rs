//! What apps see of files.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use uuid::Uuid;

use crate::{
    adapters::{random::hex, storage::Presigned},
    api::{client::v1::pictures, same::same, types::FileTypeName},
    db::files::{self as rows, FilePurpose as FilePurposeRow, FileState as FileStateRow},
    services::files::{Announced, FileType},
};

/// What a file is for, which decides what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum FilePurpose {
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
pub enum FileState {
    /// It is to be uploaded, and then completed.
    Pending,
    /// It is uploaded, and being made into what is shown of it.
    Processing,
    /// It can be used.
    Ready,
    /// It can't be read as what it says it is.
    Failed,
}

/// A file.
#[derive(Debug, Object)]
#[oai(example)]
pub struct File {
    /// The file's identifier.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// Its media type; a picture is made into a JPEG.
    pub content_type: String,
    /// In bytes.
    #[oai(validator(minimum(value = "1")))]
    pub size: i64,
    /// What it is for.
    pub purpose: FilePurpose,
    /// How far it is.
    pub state: FileState,
    /// The SHA-256 of its bytes in hexadecimal digits; absent where it was not announced.
    #[oai(skip_serializing_if_is_none)]
    pub sha256: Option<String>,
    /// Where everybody finds the picture that was made of it: a path of this server; absent unless it is one.
    #[oai(skip_serializing_if_is_none)]
    pub picture_url: Option<String>,
    /// How wide the picture is, in pixels.
    #[oai(skip_serializing_if_is_none)]
    pub width: Option<i32>,
    /// How high the picture is, in pixels.
    #[oai(skip_serializing_if_is_none)]
    pub height: Option<i32>,
    /// When it is given up unless it is completed; absent once it is.
    #[oai(skip_serializing_if_is_none)]
    pub expires_at: Option<DateTime<Utc>>,
    /// When its upload was completed; absent until then.
    #[oai(skip_serializing_if_is_none)]
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was announced.
    pub created_at: DateTime<Utc>,
}

/// A file that is to be uploaded.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateFileRequest {
    /// What it is called: no path, no control characters, and none that change the direction of the text.
    #[oai(validator(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\x00-\x1f\x7f-\x9f/\\\u200e\u200f\u202a-\u202e\u2066-\u2069]+$"
    ))]
    pub name: String,
    /// Its media type, which its bytes have to be of.
    pub content_type: FileTypeName,
    /// In bytes.
    #[oai(validator(minimum(value = "1"), maximum(value = "1125899906842624")))]
    pub size: i64,
    /// What it is for.
    pub purpose: FilePurpose,
    /// The SHA-256 of its bytes in hexadecimal digits: others are refused then.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// A header of an upload.
#[derive(Debug, Object)]
#[oai(example)]
pub struct UploadHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The request by which a file is uploaded: straight to the storage, with the file as its body.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FileUpload {
    /// The method.
    pub method: String,
    /// The address, which is a secret for as long as it is good.
    pub url: String,
    /// Headers that the request must have. They are signed: with others it is refused.
    pub headers: Vec<UploadHeader>,
    /// Until when the upload may begin.
    pub expires_at: DateTime<Utc>,
}

/// A file, and how to upload it.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CreatedFile {
    /// The file.
    pub file: File,
    /// How to upload it.
    pub upload: FileUpload,
}

/// The address of a download.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FileDownload {
    /// The address, which is a secret for as long as it is good. A browser saves what is there as a file.
    pub url: String,
    /// Until when the download may begin.
    pub expires_at: DateTime<Utc>,
}

impl From<CreateFileRequest> for Announced {
    fn from(request: CreateFileRequest) -> Self {
        let CreateFileRequest { name, content_type, size, purpose, sha256 } = request;
        let sha256 = sha256.and_then(|text| bytes_of(&text));
        Self { purpose: purpose.into(), name, content_type: content_type.0, size, sha256 }
    }
}

/// What hexadecimal digits stand for; they are checked before.
fn bytes_of(text: &str) -> Option<[u8; 32]> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

impl From<rows::File> for File {
    fn from(row: rows::File) -> Self {
        Self {
            id: row.id,
            name: row.name,
            content_type: row.content_type,
            size: row.size,
            purpose: row.purpose.into(),
            state: row.state.into(),
            sha256: row.sha256.as_deref().map(hex),
            picture_url: row.width.map(|_| pictures::url(row.id)),
            width: row.width,
            height: row.height,
            expires_at: row.expires_at,
            completed_at: row.completed_at,
            created_at: row.created_at,
        }
    }
}

impl From<Presigned> for FileUpload {
    fn from(signed: Presigned) -> Self {
        let Presigned { method, url, headers, expires_at } = signed;
        let headers = headers.into_iter().map(|(name, value)| UploadHeader { name, value });
        Self { method, url, headers: headers.collect(), expires_at }
    }
}

same! {
    FilePurpose = FilePurposeRow: Avatar, PostCover, Attachment;
    FileState = FileStateRow: Pending, Processing, Ready, Failed;
}

pub fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
pub fn a_purpose() -> Option<FilePurpose> {
    Some(FilePurpose::Attachment)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
pub fn a_state() -> Option<FileState> {
    Some(FileState::Ready)
}

const NAME: &str = "Timetable.pdf";
const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Example for File {
    fn example() -> Self {
        Self {
            id: an_id(),
            name: NAME.to_owned(),
            content_type: FileType::Pdf.text().to_owned(),
            size: 48_213,
            purpose: FilePurpose::Attachment,
            state: FileState::Ready,
            sha256: Some(SHA256.to_owned()),
            picture_url: Some(pictures::url(an_id())),
            width: Some(1600),
            height: Some(900),
            expires_at: Some(DateTime::UNIX_EPOCH),
            completed_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for CreateFileRequest {
    fn example() -> Self {
        Self {
            name: NAME.to_owned(),
            content_type: FileTypeName(FileType::Pdf),
            size: 48_213,
            purpose: FilePurpose::Attachment,
            sha256: Some(SHA256.to_owned()),
        }
    }
}

impl Example for UploadHeader {
    fn example() -> Self {
        let value = FileType::Pdf.text().to_owned();
        Self { name: "content-type".to_owned(), value }
    }
}

impl Example for FileUpload {
    fn example() -> Self {
        Self {
            method: "PUT".to_owned(),
            url: "https://files.example.com/uploads/…".to_owned(),
            headers: vec![UploadHeader::example()],
            expires_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for CreatedFile {
    fn example() -> Self {
        Self { file: File::example(), upload: FileUpload::example() }
    }
}

impl Example for FileDownload {
    fn example() -> Self {
        Self {
            url: "https://files.example.com/files/…".to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
        }
    }
}
