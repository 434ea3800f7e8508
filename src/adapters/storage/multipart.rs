//! Objects that are uploaded in parts: each can be sent again by itself, in any order.

use std::time::Duration;

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    types::{CompletedMultipartUpload, CompletedPart},
};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Storage, StorageError,
    presign::{Presigned, SIGN, presigned, timing},
    step, step_within,
};

/// A part that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: i32,
    /// In bytes.
    pub size: i64,
    tag: Option<String>,
}

impl Storage {
    /// Begins an upload in parts, and returns what it is called.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn begin(&self, key: &str, content_type: &str) -> Result<String, StorageError> {
        const BEGIN: &str = "begin an upload";
        let begin = self.client.create_multipart_upload().bucket(&self.bucket).key(self.key(key));
        let begun = step(BEGIN, begin.content_type(content_type).send()).await?;
        let why = || StorageError { step: BEGIN, why: "it has no name".to_owned() };
        begun.upload_id.ok_or_else(why)
    }

    /// A request that uploads a part, so long.
    ///
    /// # Errors
    /// When it can't be signed.
    pub async fn presign_part(
        &self,
        (key, upload_id): (&str, &str),
        (number, size): (i32, i64),
        (now, life): (DateTime<Utc>, TimeDelta),
    ) -> Result<Presigned, StorageError> {
        let part = self.signer.upload_part().bucket(&self.bucket).key(self.key(key));
        let part = part.upload_id(upload_id).part_number(number).content_length(size);
        let signed = step(SIGN, part.presigned(timing(now, life)?)).await?;
        Ok(presigned(&signed, now + life))
    }

    /// The parts that are here, by their numbers.
    ///
    /// # Errors
    /// When the storage doesn't do it, or has no such upload.
    pub async fn parts(&self, key: &str, upload_id: &str) -> Result<Vec<Part>, StorageError> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let list = self.client.list_parts().bucket(&self.bucket).key(self.key(key));
            let list = list.upload_id(upload_id).set_part_number_marker(from).send();
            let list = step("list the parts of an upload", list).await?;
            found.extend(list.parts().iter().map(|part| Part {
                number: part.part_number.unwrap_or_default(),
                size: part.size.unwrap_or_default(),
                tag: part.e_tag.clone(),
            }));
            let has_more = list.is_truncated == Some(true);
            from = list.next_part_number_marker.filter(|_| has_more);
            if from.is_none() {
                break;
            }
        }
        found.sort_by_key(|part| part.number);
        Ok(found)
    }

    /// Makes the object of these parts.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn assemble(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[Part],
        limit: Duration,
    ) -> Result<(), StorageError> {
        let parts = parts.iter().map(|part| {
            let named = CompletedPart::builder().part_number(part.number);
            named.set_e_tag(part.tag.clone()).build()
        });
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let whole = self.client.complete_multipart_upload().bucket(&self.bucket).key(self.key(key));
        let whole = whole.upload_id(upload_id).multipart_upload(all).send();
        step_within(limit, "put an object together", whole).await?;
        Ok(())
    }

    /// Ends an upload and deletes its parts. One that is no more has ended.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn end(&self, key: &str, upload_id: &str) -> Result<(), StorageError> {
        let end = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.key(key));
        let end = end.upload_id(upload_id).send();
        let ended = async {
            match end.await {
                Ok(_) => Ok(()),
                // Some servers call what they don't know forbidden.
                Err(SdkError::ServiceError(refusal))
                    if matches!(refusal.err().code(), Some("NoSuchUpload" | "AccessDenied"))
                        || refusal.raw().status().as_u16() == 404 =>
                {
                    Ok(())
                }
                Err(error) => Err(error),
            }
        };
        step("end an upload", ended).await
    }
}
