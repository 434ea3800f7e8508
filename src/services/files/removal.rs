//! Files that go: the row at once, its objects soon after, whatever happens in between.

use std::{collections::BTreeMap, slice, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::{
    Code, Core, Result, ServiceError,
    cache::Change,
    jobs::{Job, Order},
};
use super::{parts::AssembleFile, pictures, present_storage};
use crate::{
    adapters::storage::{Storage, StorageError},
    db::{
        DbError, Origin, Tx,
        doomed_objects::{self, Doomed},
        file_spaces,
        files::{self, File, FileState},
    },
    telemetry::Chain,
};

/// Gives up files that were not uploaded in time, and deletes objects that nothing names any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CleanUpFiles {}

impl Job for CleanUpFiles {
    const KIND: &'static str = "files.clean_up";
    const QUEUE: &'static str = "maintenance";
    /// While one waits for its next try none of the schedule's is stored.
    const MAX_ATTEMPTS: i32 = 3;
    const TIME_LIMIT: Duration = Duration::from_mins(10);

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

/// The tag of what was made of a file, for the cache.
#[must_use]
pub fn tag(id: Uuid) -> String {
    format!("file {id}")
}

/// Where all objects of a file are.
pub(super) fn prefix(id: Uuid) -> String {
    format!("files/{id}/")
}

/// The file that an object belongs to, as its key says.
pub(super) fn file_of(key: &str) -> Option<Uuid> {
    let mut parts = key.split('/');
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        ("files", id, _, None) | ("uploads", _, id, None) => id.parse().ok(),
        _ => None,
    }
}

/// A key that no object of a file has yet, and that nobody else can write to.
pub(super) fn new_key(core: &Core, id: Uuid) -> String {
    format!("{}{}", prefix(id), core.random.id(core.clock.now()))
}

/// An object that is about to be made, by a call that takes no longer than this: before there is anything, it is
/// written down that it is to be deleted, unless a file keeps it within an hour.
pub(super) async fn intend(core: &Core, id: Uuid, limit: Duration) -> Result<Doomed> {
    let now = core.clock.now();
    let limit = TimeDelta::from_std(limit).map_err(ServiceError::internal)?;
    let object = Doomed::objects(new_key(core, id), now + limit + TimeDelta::hours(1));
    let mut conn = core.db.conn().await?;
    doomed_objects::insert(&mut conn, slice::from_ref(&object), now).await?;
    Ok(object)
}

/// In the transaction that names an object as a file's: it stays.
///
/// # Errors
/// [`Code::Unavailable`] when it was not in time; the object may be gone by now.
pub(super) async fn keep(tx: &mut Tx, object: &Doomed) -> Result<()> {
    // Who deletes it has given it another time before.
    let is_kept = doomed_objects::delete(tx, object).await?;
    if is_kept { Ok(()) } else { Err(Code::Unavailable.into()) }
}

/// What is deleted later in any case may fail now.
pub(super) fn forget(outcome: Result<(), StorageError>) {
    if let Err(error) = outcome {
        tracing::warn!("an object is deleted later: {}", Chain(&error));
    }
}

/// Deletes one of a user's own files.
///
/// # Errors
/// [`Code::NotFound`], also for another user's.
pub async fn delete(core: &Core, origin: &Origin, user_id: Uuid, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let gone = files::delete_own(&mut tx, user_id, id).await?;
    if gone.is_empty() {
        return Err(Code::NotFound.into());
    }
    clear(core, &mut tx, &gone).await?;
    Ok(tx.commit().await?)
}

/// After the rows of files: has their objects deleted, and gives their room back.
pub(super) async fn clear(core: &Core, tx: &mut Tx, gone: &[File]) -> Result<()> {
    let now = tx.now;
    doom(core, tx, gone.iter().flat_map(|file| doomed(file, now)).collect()).await?;
    tell_of_gone(core, tx, gone).await?;
    let mut freed: BTreeMap<Uuid, (i64, i64)> = BTreeMap::new();
    for file in gone {
        let (files, bytes) = freed.entry(file.owner_id).or_default();
        (*files, *bytes) = (*files + 1, *bytes + file.size);
    }
    for (owner_id, (files, bytes)) in freed {
        file_spaces::free(tx, owner_id, files, bytes, now).await?;
    }
    Ok(())
}

/// Tells of files that are no more.
async fn tell_of_gone(core: &Core, tx: &mut Tx, gone: &[File]) -> Result<()> {
    let all: Vec<Change> = gone.iter().map(|file| Change::Tag(tag(file.id))).collect();
    core.cache.changes(tx, &all).await
}

/// Deletes all files of users, and what they might have uploaded beside them.
///
/// # Errors
/// When the database fails.
pub async fn delete_of(core: &Core, tx: &mut Tx, user_ids: &[Uuid]) -> Result<()> {
    let now = tx.now;
    let gone = files::delete_of(tx, user_ids).await?;
    let spaces = file_spaces::delete_of(tx, user_ids).await?;
    let folders = spaces.iter().map(|space| Doomed::objects(format!("uploads/{}/", space.id), now));
    doom(core, tx, gone.iter().flat_map(|file| doomed(file, now)).chain(folders).collect()).await
}

/// The objects of a file: those that a job may still make are looked for when it can't any more. What is uploaded from now
/// on is swept (`strays`).
pub(super) fn doomed(file: &File, now: DateTime<Utc>) -> impl Iterator<Item = Doomed> {
    let upload_key = file.upload_key.clone();
    let upload = match (&file.upload_id, file.state) {
        (Some(upload_id), FileState::Pending | FileState::Processing) => {
            let may_be_made = file.state == FileState::Processing;
            let due_at = if may_be_made { now + AssembleFile::TIME_LIMIT } else { now };
            let upload_id = Some(upload_id.clone());
            Some(Doomed { prefix: upload_key, due_at, upload_id })
        }
        (None, FileState::Pending) => Some(Doomed::objects(upload_key, now)),
        _ => None,
    };
    [Doomed::objects(prefix(file.id), now)].into_iter().chain(upload)
}

/// Has objects deleted.
pub(super) async fn doom(core: &Core, tx: &mut Tx, doomed: Vec<Doomed>) -> Result<()> {
    let Some(first) = doomed.first() else { return Ok(()) };
    let now = tx.now;
    doomed_objects::insert(tx, &doomed, now).await?;
    // Beside the one of each minute, which may have looked already.
    let order = Order::of(&CleanUpFiles {})?;
    let order = order.unique(format!("{}:{}", CleanUpFiles::KIND, first.prefix));
    core.jobs.enqueue_all(core, tx, vec![order]).await?;
    Ok(())
}

/// Gives up to `limit` files up that were not uploaded in time, or are of no use, and as many that no job makes
/// anything of any more; returns how many.
///
/// # Errors
/// When the database fails.
pub async fn give_up_expired(core: &Core, origin: &Origin, limit: i64) -> Result<usize> {
    /// Much longer than all tries of a job take.
    const WORK: TimeDelta = TimeDelta::days(1);
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let stuck = files::stuck(&mut tx, now - WORK, limit).await?;
    for file in &stuck {
        tracing::warn!("the file {} is given up, for its job has not ended", file.id);
        pictures::give_up(core, &mut tx, file).await?;
    }
    let gone = files::delete_expired(&mut tx, now, limit).await?;
    clear(core, &mut tx, &gone).await?;
    tx.commit().await?;
    Ok(gone.len() + stuck.len())
}

/// Deletes what up to `limit` doomed prefixes stand for, and returns how many of these there were. What can't be
/// deleted keeps nothing else.
///
/// # Errors
/// [`Code::Unavailable`] when the storage or the database is down, or something can't be deleted.
pub async fn delete_doomed(core: &Core, origin: &Origin, limit: i64) -> Result<usize> {
    // What was stored before it was taken away stays where it is.
    let Some(storage) = &core.storage else { return Ok(0) };
    let due = {
        let mut tx = core.db.begin(origin).await?;
        let now = tx.now;
        let due = doomed_objects::take(&mut tx, now, limit).await?;
        tx.commit().await?;
        due
    };
    let mut failure = None;
    for doomed in &due {
        match delete_all(storage, doomed).await {
            Ok(()) => {
                let mut conn = core.db.conn().await?;
                doomed_objects::delete(&mut conn, doomed).await.map_err(DbError::from)?;
            }
            Err(error) => {
                tracing::warn!("objects are deleted later: {}: {}", doomed.prefix, Chain(&error));
                failure = Some(error);
                // Each of the others would wait as long.
                present_storage(core).await?;
            }
        }
    }
    failure.map_or(Ok(due.len()), |error| Err(error.into()))
}

async fn delete_all(storage: &Storage, doomed: &Doomed) -> Result<(), StorageError> {
    if let Some(upload_id) = &doomed.upload_id {
        storage.end(&doomed.prefix, upload_id).await?;
    }
    storage.delete_all(&doomed.prefix).await
}
