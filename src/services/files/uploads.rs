//! Files on their way in: announced, uploaded by a URL, and taken.

use std::{io, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::Stream;
use hyper::body::Bytes;
use uuid::Uuid;

use super::{
    super::{Code, Core, FieldError, Result, ServiceError},
    Announced, FileType, parts,
    pictures::{self, MakePicture},
    present_storage,
    removal::{self, forget},
    storage,
};
use crate::{
    adapters::storage::{Presigned, Storage, StreamError},
    db::{
        Origin, Tx,
        doomed_objects::Doomed,
        file_spaces::{self, FileSpace},
        files::{self, File, FileState, NewFile},
    },
};

/// What was uploaded and what was announced are two things.
const MISMATCH: &str = "mismatch";

/// Announces a file, for which there is room from now on, and says how to upload it.
///
/// # Errors
/// [`Code::ValidationFailed`], [`Code::FileQuotaExceeded`]; [`Code::NotConfigured`], and [`Code::Unavailable`] when the
/// storage is down.
pub async fn create(
    core: &Core,
    origin: &Origin,
    owner_id: Uuid,
    announced: &Announced,
) -> Result<(File, Presigned)> {
    core.files.check(announced, Some(core.files.single_size))?;
    let storage = present_storage(core).await?;
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let space = take_room(core, &mut tx, owner_id, announced.size).await?;
    let key = format!("uploads/{}/{id}", space.id);
    let new = row(core, (id, owner_id), announced, (&key, None), now);
    let file = files::insert(&mut tx, new).await?;
    let body = (file.content_type.as_str(), file.size, file.sha256.as_deref());
    let timing = (now, core.files.upload_life);
    let upload = storage.presign_put(&file.upload_key, body, timing).await?;
    tx.commit().await?;
    Ok((file, upload))
}

/// Takes room of a user's.
pub(super) async fn take_room(
    core: &Core,
    tx: &mut Tx,
    owner_id: Uuid,
    size: i64,
) -> Result<FileSpace> {
    let (id, now) = (core.random.id(tx.now), tx.now);
    let space = file_spaces::take(tx, owner_id, id, size, core.files.quota, now).await?;
    Ok(space.ok_or(Code::FileQuotaExceeded)?)
}

/// The row of a file that is announced, for the object of this key.
pub(super) fn row<'a>(
    core: &Core,
    (id, owner_id): (Uuid, Uuid),
    announced: &'a Announced,
    (upload_key, parts): (&'a str, Option<(&'a str, i64)>),
    now: DateTime<Utc>,
) -> NewFile<'a> {
    NewFile {
        id,
        owner_id,
        purpose: announced.purpose,
        name: &announced.name,
        content_type: announced.content_type.text(),
        size: announced.size,
        sha256: announced.sha256.as_ref().map(<[u8; 32]>::as_slice),
        upload_key,
        parts,
        expires_at: now + core.files.pending_life,
        now,
    }
}

/// Takes an uploaded file, if it is what was announced; else it is deleted. Once taken, a second time changes nothing.
///
/// # Errors
/// [`Code::NotFound`], also for another user's, [`Code::FileNotUploaded`], [`Code::FileRefused`];
/// [`Code::NotConfigured`], and [`Code::Unavailable`] when the storage is down.
pub async fn complete(core: &Core, origin: &Origin, owner_id: Uuid, id: Uuid) -> Result<File> {
    let file = super::get(core, owner_id, id).await?;
    let storage = storage(core)?;
    if file.state != FileState::Pending {
        return Ok(file);
    }
    if let Some(upload_id) = file.upload_id.clone() {
        return parts::complete(core, origin, file, &upload_id).await;
    }
    if storage.head(&file.upload_key).await?.is_none() {
        return Err(Code::FileNotUploaded.into());
    }
    // Another one for each try: what is looked at is nobody else's to change.
    let object = removal::intend(core, id, Duration::ZERO).await?;
    storage.copy(&file.upload_key, &object.prefix).await?;
    let fault = fault_of_object(storage, &file, &object.prefix).await?;
    take(core, origin, file, &object, fault).await
}

/// Receives a file instead of the storage: `length` is what the request says of its own.
///
/// # Errors
/// [`Code::NotFound`], also for another user's, [`Code::ValidationFailed`] for another length, [`Code::FileRefused`],
/// [`Code::SlowBody`]; [`Code::NotConfigured`], and [`Code::Unavailable`] when the storage is down.
pub async fn receive(
    core: &Core,
    origin: &Origin,
    (owner_id, id): (Uuid, Uuid),
    length: Option<i64>,
    incoming: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Result<File> {
    let file = super::get(core, owner_id, id).await?;
    let storage = storage(core)?;
    if file.state != FileState::Pending {
        return Ok(file);
    }
    if file.upload_id.is_some() {
        return Err(Code::FileInParts.into());
    }
    if length != Some(file.size) {
        let message = format!("must be {}, as the file's size", file.size);
        let fault = FieldError::new("Content-Length", "mismatch", message);
        return Err(ServiceError::invalid(vec![fault]));
    }
    let (kind, limit) = ((file.content_type.as_str(), file.size), core.files.direct_limit);
    let object = removal::intend(core, id, limit).await?;
    let received = storage.put_stream(&object.prefix, kind, incoming, limit).await;
    let received = received.map_err(|error| match error {
        StreamError::Incoming(error) if error.kind() == io::ErrorKind::TimedOut => {
            ServiceError::from(Code::SlowBody).caused_by(error)
        }
        StreamError::Incoming(error) => ServiceError::from(Code::Malformed).caused_by(error),
        StreamError::Storage(error) => error.into(),
    })?;
    let fault = fault_of_bytes(&file, &received.start, Some(&received.sha256));
    take(core, origin, file, &object, fault).await
}

/// The file is this object from now on, or it is gone.
async fn take(
    core: &Core,
    origin: &Origin,
    file: File,
    object: &Doomed,
    fault: Option<FieldError>,
) -> Result<File> {
    if let Some(fault) = fault {
        refuse(core, origin, &file).await?;
        return Err(ServiceError::file_refused(fault));
    }
    let storage = storage(core)?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let is_picture = pictures::shape(file.purpose).is_some();
    let state = if is_picture { FileState::Processing } else { FileState::Ready };
    let key = &object.prefix;
    let Some(taken) = files::complete(&mut tx, file.id, state, key, now).await? else {
        drop(tx);
        // Another request was faster, or the file is no more.
        forget(storage.delete(key).await);
        return super::get(core, file.owner_id, file.id).await;
    };
    removal::keep(&mut tx, object).await?;
    if is_picture {
        core.jobs.enqueue(core, &mut tx, &MakePicture { file_id: file.id }).await?;
    }
    tx.commit().await?;
    // Where that fails, and when it is uploaded again, it is swept (`strays`).
    forget(storage.delete(&file.upload_key).await);
    Ok(taken)
}

/// What is wrong with the object of a file.
pub(super) async fn fault_of_object(
    storage: &Storage,
    file: &File,
    key: &str,
) -> Result<Option<FieldError>> {
    let object = storage.head(key).await?.ok_or(Code::FileNotUploaded)?;
    if object.size != file.size {
        let message = format!("{} bytes were uploaded", object.size);
        return Ok(Some(FieldError::new("size", MISMATCH, message)));
    }
    if object.content_type.as_deref() != Some(file.content_type.as_str()) {
        return Ok(Some(FieldError::new("content_type", MISMATCH, "was uploaded as another type")));
    }
    let inspected = storage.inspect(key, file.size, file.sha256.is_some()).await?;
    Ok(fault_of_bytes(file, &inspected.start, inspected.sha256.as_ref()))
}

/// What is wrong with the bytes of a file; without their checksum, as far as the first of them tell.
fn fault_of_bytes(file: &File, start: &[u8], sha256: Option<&[u8; 32]>) -> Option<FieldError> {
    let declared = FileType::parse(&file.content_type);
    if !declared.is_some_and(|declared| declared.fits(start)) {
        let message = format!("the bytes are not those of {}", file.content_type);
        return Some(FieldError::new("content_type", MISMATCH, message));
    }
    let announced = file.sha256.as_deref();
    let differs = announced.is_some_and(|one| sha256.map(<[u8; 32]>::as_slice) != Some(one));
    differs.then(|| FieldError::new("sha256", MISMATCH, "other bytes were uploaded"))
}

async fn refuse(core: &Core, origin: &Origin, file: &File) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let gone = files::delete_pending(&mut tx, file.id).await?;
    removal::clear(core, &mut tx, &gone).await?;
    Ok(tx.commit().await?)
}
