//! Files on their way in: announced, uploaded by a URL, and taken.

use uuid::Uuid;

use super::{
    super::{Code, Core, FieldError, Result, ServiceError},
    Announced, FileType, removal, storage,
};
use crate::{
    adapters::storage::{Presigned, Storage, StorageError},
    db::{
        Origin,
        doomed_objects::{self, Doomed},
        file_spaces,
        files::{self, File, FileState, NewFile},
    },
    telemetry::Chain,
};

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
    core.files.check(announced)?;
    let storage = storage(core)?;
    if !core.health.has_storage(core).await {
        return Err(Code::Unavailable.into());
    }
    let mut tx = core.db.begin(origin).await?;
    let (id, folder, now) = (core.random.id(tx.now), core.random.id(tx.now), tx.now);
    let (quota, size) = (core.files.quota, announced.size);
    let space = file_spaces::take(&mut tx, owner_id, folder, size, quota, now).await?;
    let folder = space.ok_or(Code::FileQuotaExceeded)?.folder;
    let new = NewFile {
        id,
        owner_id,
        purpose: announced.purpose,
        name: &announced.name,
        content_type: announced.content_type.text(),
        size,
        sha256: announced.sha256.as_ref().map(<[u8; 32]>::as_slice),
        upload_key: &format!("uploads/{folder}/{id}"),
        expires_at: now + core.files.pending_life,
        now,
    };
    let file = files::insert(&mut tx, new).await?;
    let body = (file.content_type.as_str(), file.size, file.sha256.as_deref());
    let timing = (now, core.files.upload_life);
    let upload = storage.presign_put(&file.upload_key, body, timing).await?;
    tx.commit().await?;
    Ok((file, upload))
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
    if storage.head(&file.upload_key).await?.is_none() {
        return Err(Code::FileNotUploaded.into());
    }
    // Another one for each try: what is looked at is nobody else's to change.
    let key = format!("{}{}", removal::prefix(id), core.random.id(core.clock.now()));
    storage.copy(&file.upload_key, &key).await?;
    if let Some(fault) = find_fault(storage, &file, &key).await? {
        refuse(core, origin, &file).await?;
        return Err(ServiceError::file_refused(fault));
    }
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let Some(taken) = files::complete(&mut tx, id, FileState::Ready, &key, now).await? else {
        drop(tx);
        // Another request was faster, or the file is no more; the copy goes with it at the latest.
        forget(storage.delete(&key).await);
        return super::get(core, owner_id, id).await;
    };
    let due_at = file.expires_at.unwrap_or(now);
    let upload = Doomed { prefix: file.upload_key.clone(), due_at };
    doomed_objects::insert(&mut tx, &[upload], now).await?;
    tx.commit().await?;
    // Soon, and once more when nobody can upload it again.
    forget(storage.delete(&file.upload_key).await);
    Ok(taken)
}

/// What is wrong with the object of a file.
async fn find_fault(storage: &Storage, file: &File, key: &str) -> Result<Option<FieldError>> {
    let object = storage.head(key).await?.ok_or(Code::FileNotUploaded)?;
    if object.size != file.size {
        let message = format!("{} bytes were uploaded", object.size);
        return Ok(Some(FieldError::new("size", "mismatch", message)));
    }
    if object.content_type.as_deref() != Some(file.content_type.as_str()) {
        return Ok(Some(FieldError::new(
            "content_type",
            "mismatch",
            "was uploaded as another type",
        )));
    }
    let inspected = storage.inspect(key, file.size, file.sha256.is_some()).await?;
    let is_what_it_says =
        FileType::parse(&file.content_type).is_some_and(|declared| declared.fits(&inspected.start));
    if !is_what_it_says {
        let message = format!("the bytes are not those of {}", file.content_type);
        return Ok(Some(FieldError::new("content_type", "mismatch", message)));
    }
    let sha256 = inspected.sha256.as_ref().map(<[u8; 32]>::as_slice);
    if sha256 != file.sha256.as_deref() {
        return Ok(Some(FieldError::new("sha256", "mismatch", "other bytes were uploaded")));
    }
    Ok(None)
}

async fn refuse(core: &Core, origin: &Origin, file: &File) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let gone = files::delete_pending(&mut tx, file.id).await?;
    removal::clear(core, &mut tx, &gone).await?;
    Ok(tx.commit().await?)
}

/// What is deleted later in any case may fail now.
fn forget(outcome: Result<(), StorageError>) {
    if let Err(error) = outcome {
        tracing::warn!("an object is deleted later: {}", Chain(&error));
    }
}
