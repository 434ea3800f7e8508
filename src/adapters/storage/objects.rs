//! What the server itself does with objects.

use std::time::Duration;

use aws_sdk_s3::{
    operation::{get_object::GetObjectOutput, head_object::HeadObjectError},
    types::{Delete, ObjectIdentifier},
};
use ring::digest::{Context, SHA256};

use super::{Storage, StorageError, step, step_within};
use crate::telemetry::Chain;

/// How much of an object's beginning is looked at.
pub(super) const START: i64 = 8192;
const LOOK: &str = "look at an object";
/// Some servers write all of it anew. Who waits for it may be told earlier that it takes too long.
const COPY_LIMIT: Duration = Duration::from_secs(30);

/// What the storage says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// In bytes.
    pub size: i64,
    pub content_type: Option<String>,
}

/// What is in an object.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// Its first kilobytes.
    pub start: Vec<u8>,
    /// Of all of it, if it was asked for.
    pub sha256: Option<[u8; 32]>,
}

/// An object among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// In bytes.
    pub size: i64,
}

/// Objects, in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub objects: Vec<Listed>,
    /// The key behind which the list goes on, if it does.
    pub next: Option<String>,
}

impl Storage {
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// What is known of an object; `None` where there is none.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn head(&self, key: &str) -> Result<Option<Object>, StorageError> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.key(key)).send();
        let head = async {
            match head.await {
                Err(error)
                    if error.as_service_error().is_some_and(HeadObjectError::is_not_found) =>
                {
                    Ok(None)
                }
                other => other.map(Some),
            }
        };
        let found = step(LOOK, head).await?;
        Ok(found.map(|object| Object {
            size: object.content_length.unwrap_or_default(),
            content_type: object.content_type,
        }))
    }

    /// Makes another object of the same bytes and type. The first one is there.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let source = format!("{}/{}", self.bucket, self.key(from));
        let copy = self.client.copy_object().bucket(&self.bucket).key(self.key(to));
        step_within(COPY_LIMIT, "copy an object", copy.copy_source(source).send()).await?;
        Ok(())
    }

    /// Reads the beginning of an object of this size, which isn't empty; all of it to tell its checksum, of which
    /// nothing is kept.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn inspect(
        &self,
        key: &str,
        size: i64,
        with_sha256: bool,
    ) -> Result<Inspected, StorageError> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.key(key));
        // Some servers refuse a range that ends behind the object.
        let end = size.min(START) - 1;
        let get = if with_sha256 { get } else { get.range(format!("bytes=0-{end}")) };
        let object = step(LOOK, get.send()).await?;
        read(object, with_sha256).await
    }

    /// Deletes an object, if it is there.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(self.key(key)).send();
        step("delete an object", delete).await?;
        Ok(())
    }

    /// Up to a thousand objects whose keys begin so, in order, behind the key `after`.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, StorageError> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.key(prefix));
        let list = list.set_start_after(after.map(|key| self.key(key))).send();
        let list = step("list objects", list).await?;
        let objects = list.contents().iter().filter_map(|object| {
            let key = object.key()?.strip_prefix(&self.prefix)?.to_owned();
            Some(Listed { key, size: object.size().unwrap_or_default() })
        });
        let objects: Vec<Listed> = objects.collect();
        let last = objects.last().filter(|_| list.is_truncated() == Some(true));
        let next = last.map(|object| object.key.clone());
        Ok(Listing { objects, next })
    }

    /// Deletes every object whose key begins so.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn delete_all(&self, prefix: &str) -> Result<(), StorageError> {
        loop {
            let Listing { objects, next } = self.list(prefix, None).await?;
            let keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
            self.delete_each(&keys).await?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes these objects, at most a thousand, as far as they are there.
    ///
    /// # Errors
    /// When the storage doesn't do it, or not with one of them.
    pub async fn delete_each(&self, keys: &[String]) -> Result<(), StorageError> {
        const DELETE: &str = "delete objects";
        if keys.is_empty() {
            return Ok(());
        }
        let objects: Result<Vec<_>, _> =
            keys.iter().map(|key| ObjectIdentifier::builder().key(self.key(key)).build()).collect();
        let failed = |error| StorageError { step: DELETE, why: Chain(&error).to_string() };
        let objects = Delete::builder().set_objects(Some(objects.map_err(failed)?)).quiet(true);
        let objects = objects.build().map_err(failed)?;
        let delete = self.client.delete_objects().bucket(&self.bucket).delete(objects).send();
        let done = step(DELETE, delete).await?;
        let Some(error) = done.errors().first() else { return Ok(()) };
        Err(StorageError { step: DELETE, why: error.code().unwrap_or("no code").to_owned() })
    }
}

async fn read(mut object: GetObjectOutput, with_sha256: bool) -> Result<Inspected, StorageError> {
    let (mut start, mut digest) = (Vec::new(), with_sha256.then(|| Context::new(&SHA256)));
    loop {
        let piece = object.body.try_next().await;
        let piece =
            piece.map_err(|error| StorageError { step: LOOK, why: Chain(&error).to_string() })?;
        let Some(piece) = piece else { break };
        let missing = usize::try_from(START).unwrap_or_default().saturating_sub(start.len());
        let missing = missing.min(piece.len());
        start.extend_from_slice(&piece[..missing]);
        if let Some(digest) = &mut digest {
            digest.update(&piece);
        }
    }
    let sha256 = digest.and_then(|digest| digest.finish().as_ref().try_into().ok());
    Ok(Inspected { start, sha256 })
}
