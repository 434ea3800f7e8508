//! Large files: uploaded in parts, of which each can be sent again by itself, and put together by a job.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    super::{Code, Core, FieldError, Result, ServiceError, jobs::Job},
    Announced, pictures, present_storage,
    removal::{self, forget},
    storage, uploads,
};
use crate::{
    adapters::storage::{Part, Presigned},
    db::{
        Origin,
        files::{self, File, FileState},
    },
};

/// How large parts are, at least: a power of two that S3 allows and that is worth a request.
const PART_SIZE: i64 = 16 << 20;
/// So many are allowed.
const MOST_PARTS: i64 = 10_000;

/// Puts a file together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AssembleFile {
    pub file_id: Uuid,
}

impl Job for AssembleFile {
    const KIND: &'static str = "files.assemble";
    const TIME_LIMIT: Duration = Duration::from_hours(1);
}

/// How large each part is but the last.
fn part_size(size: i64) -> i64 {
    let mut part_size = PART_SIZE;
    while part_size * MOST_PARTS < size {
        part_size *= 2;
    }
    part_size
}

/// How large a part is; `None` where there is no such part.
fn size_of(file: &File, number: i32) -> Option<i64> {
    let part_size = file.part_size?;
    let before = part_size * (i64::from(number) - 1);
    (number >= 1 && before < file.size).then(|| part_size.min(file.size - before))
}

/// How many parts a file has.
#[must_use]
pub fn count(file: &File) -> Option<i64> {
    let part_size = file.part_size?;
    Some((file.size + part_size - 1) / part_size)
}

/// Announces a file that is uploaded in parts, for which there is room from now on.
///
/// # Errors
/// As of [`uploads::create`].
pub async fn create(
    core: &Core,
    origin: &Origin,
    owner_id: Uuid,
    announced: &Announced,
) -> Result<File> {
    if pictures::shape(announced.purpose).is_some() {
        let fault = FieldError::new("purpose", "not_allowed", "is uploaded by one request");
        return Err(ServiceError::invalid(vec![fault]));
    }
    core.files.check(announced, None)?;
    let storage = present_storage(core).await?;
    let id = core.random.id(core.clock.now());
    let key = removal::new_key(core, id);
    // Before the transaction: no connection waits for the storage.
    let upload_id = storage.begin(&key, announced.content_type.text()).await?;
    let stored = store(core, origin, (id, owner_id), announced, (&key, &upload_id)).await;
    if stored.is_err() {
        forget(storage.end(&key, &upload_id).await);
    }
    stored
}

/// Stores a file whose upload has begun.
async fn store(
    core: &Core,
    origin: &Origin,
    ids: (Uuid, Uuid),
    announced: &Announced,
    (key, upload_id): (&str, &str),
) -> Result<File> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    uploads::take_room(core, &mut tx, ids.1, announced.size).await?;
    let parts = Some((upload_id, part_size(announced.size)));
    let file =
        files::insert(&mut tx, uploads::row(core, ids, announced, (key, parts), now)).await?;
    tx.commit().await?;
    Ok(file)
}

/// A user's own file that is being uploaded in parts, and what the storage calls its upload.
async fn pending(core: &Core, owner_id: Uuid, id: Uuid) -> Result<(File, String)> {
    let file = super::get(core, owner_id, id).await?;
    let is_pending = file.state == FileState::Pending;
    match file.upload_id.clone().filter(|_| is_pending) {
        Some(upload_id) => Ok((file, upload_id)),
        None => Err(Code::FileNotInParts.into()),
    }
}

/// Requests that upload these parts.
///
/// # Errors
/// [`Code::NotFound`], also for another user's, [`Code::FileNotInParts`], [`Code::ValidationFailed`] for a part that it
/// doesn't have; [`Code::NotConfigured`].
pub async fn sign(
    core: &Core,
    owner_id: Uuid,
    id: Uuid,
    numbers: &[i32],
) -> Result<Vec<(i32, i64, Presigned)>> {
    let (file, upload_id) = pending(core, owner_id, id).await?;
    let storage = storage(core)?;
    let timing = (core.clock.now(), core.files.upload_life);
    let (mut signed, mut faults) = (Vec::new(), Vec::new());
    for (index, number) in numbers.iter().enumerate() {
        let Some(size) = size_of(&file, *number) else {
            let field = format!("numbers[{index}]");
            faults.push(FieldError::new(field, "unknown_part", "is no part of the file"));
            continue;
        };
        let upload = (file.upload_key.as_str(), upload_id.as_str());
        let request = storage.presign_part(upload, (*number, size), timing).await?;
        signed.push((*number, size, request));
    }
    if faults.is_empty() { Ok(signed) } else { Err(ServiceError::invalid(faults)) }
}

/// The parts that have arrived.
///
/// # Errors
/// [`Code::NotFound`], also for another user's, [`Code::FileNotInParts`]; [`Code::NotConfigured`], and
/// [`Code::Unavailable`] when the storage is down.
pub async fn arrived(core: &Core, owner_id: Uuid, id: Uuid) -> Result<Vec<Part>> {
    let (file, upload_id) = pending(core, owner_id, id).await?;
    Ok(storage(core)?.parts(&file.upload_key, &upload_id).await?)
}

/// Has a file put together, all parts of which are here.
pub(super) async fn complete(
    core: &Core,
    origin: &Origin,
    file: File,
    upload_id: &str,
) -> Result<File> {
    let parts = storage(core)?.parts(&file.upload_key, upload_id).await?;
    if !are_all(&file, &parts) {
        return Err(Code::FileNotUploaded.into());
    }
    let mut tx = core.db.begin(origin).await?;
    let (now, key) = (tx.now, &file.upload_key);
    let taken = files::complete(&mut tx, file.id, FileState::Processing, key, now).await?;
    let Some(taken) = taken else {
        drop(tx);
        return super::get(core, file.owner_id, file.id).await;
    };
    core.jobs.enqueue(core, &mut tx, &AssembleFile { file_id: file.id }).await?;
    tx.commit().await?;
    Ok(taken)
}

fn are_all(file: &File, parts: &[Part]) -> bool {
    let is_right = |(index, part): (usize, &Part)| {
        usize::try_from(part.number).is_ok_and(|number| number == index + 1)
            && size_of(file, part.number) == Some(part.size)
    };
    let wanted = count(file).and_then(|count| usize::try_from(count).ok());
    wanted == Some(parts.len()) && parts.iter().enumerate().all(is_right)
}

/// Puts a file together that waits for it, and looks at it; a second time changes nothing.
///
/// # Errors
/// [`Code::NotConfigured`], and [`Code::Unavailable`] when the storage is down.
pub async fn assemble(core: &Core, origin: &Origin, file_id: Uuid) -> Result<()> {
    /// Some servers copy all of it meanwhile.
    const LIMIT: Duration = Duration::from_mins(20);
    let file = files::find(&mut *core.db.conn().await?, file_id).await?;
    let Some(file) = file.filter(|file| file.state == FileState::Processing) else { return Ok(()) };
    let Some(upload_id) = &file.upload_id else { return Ok(()) };
    let (storage, key) = (storage(core)?, &file.upload_key);
    // A try before this one may have done it.
    if storage.head(key).await?.is_none() {
        let parts = storage.parts(key, upload_id).await?;
        storage.assemble(key, upload_id, &parts, LIMIT).await?;
    }
    if let Some(fault) = uploads::fault_of_object(storage, &file, key).await? {
        tracing::info!("the file {file_id} is not what was announced: {}", fault.message);
        return pictures::fail(core, origin, &file).await;
    }
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    // Of one that is gone meanwhile the object is looked for once this can't make it any more.
    files::set_ready(&mut tx, file_id, now).await?;
    Ok(tx.commit().await?)
}
