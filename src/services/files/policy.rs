//! What files may be, by what they are for.

use std::time::Duration;

use chrono::TimeDelta;

use super::{
    super::{FieldError, Result, ServiceError},
    FileType,
};
use crate::db::{file_spaces::Quota, files::FilePurpose};

/// What files of a purpose may be.
#[derive(Debug, Clone)]
pub struct Policy {
    pub types: Vec<FileType>,
    /// In bytes.
    pub max_size: i64,
}

/// The rules of files.
#[derive(Debug, Clone)]
pub struct Files {
    /// What a user may have.
    pub quota: Quota,
    pub avatar: Policy,
    pub post_cover: Policy,
    pub attachment: Policy,
    /// The largest file that is uploaded by one request.
    pub single_size: i64,
    /// How long temporary credentials are good for.
    pub credentials_seconds: i32,
    /// How long a URL is good for uploads, and for downloads.
    pub upload_life: TimeDelta,
    pub download_life: TimeDelta,
    /// How long a file may take that goes through the server.
    pub direct_limit: Duration,
    /// How long a file may wait for its upload.
    pub pending_life: TimeDelta,
}

/// A file that somebody wants to upload.
#[derive(Debug, Clone)]
pub struct Announced {
    pub purpose: FilePurpose,
    pub name: String,
    pub content_type: FileType,
    /// In bytes.
    pub size: i64,
    pub sha256: Option<[u8; 32]>,
}

impl Files {
    /// What files of a purpose may be.
    #[must_use]
    pub fn policy(&self, purpose: FilePurpose) -> &Policy {
        match purpose {
            FilePurpose::Avatar => &self.avatar,
            FilePurpose::PostCover => &self.post_cover,
            FilePurpose::Attachment => &self.attachment,
        }
    }

    /// Whether such a file may be uploaded, as far as nothing but itself counts: by one request of at most this size.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`](super::super::Code::ValidationFailed), which names every fault.
    pub fn check(&self, file: &Announced, single_size: Option<i64>) -> Result<()> {
        let Policy { types, max_size } = self.policy(file.purpose);
        let mut faults = Vec::new();
        if !types.contains(&file.content_type) {
            let names: Vec<&str> = types.iter().map(|one| one.text()).collect();
            let message = format!("must be one of {} for this purpose", names.join(", "));
            faults.push(FieldError::new("content_type", "not_allowed", message));
        }
        if file.size > *max_size {
            let message = format!("must be at most {max_size} for this purpose");
            faults.push(FieldError::new("size", "too_large", message));
        } else if let Some(most) = single_size.filter(|most| file.size > *most) {
            let message = format!("must be at most {most}, or be uploaded in parts");
            faults.push(FieldError::new("size", "needs_parts", message));
        }
        if faults.is_empty() { Ok(()) } else { Err(ServiceError::invalid(faults)) }
    }
}
