//! Files that go: the row at once, its objects soon after, whatever happens in between.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::{
    Code, Core, Result,
    cache::Change,
    jobs::{Job, Order},
};
use crate::db::{
    DbError, Origin, Tx,
    doomed_objects::{self, Doomed},
    file_spaces,
    files::{self, File, FileState},
};

/// Gives up files that were not uploaded in time, and deletes objects that nothing names any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CleanUpFiles {}

impl Job for CleanUpFiles {
    const KIND: &'static str = "files.clean_up";
    const QUEUE: &'static str = "maintenance";
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

/// The objects of a file: those that an upload may still make are looked for when it can't any more.
fn doomed(file: &File, now: DateTime<Utc>) -> impl Iterator<Item = Doomed> {
    let upload_key = file.upload_key.clone();
    let upload = match (&file.upload_id, file.state) {
        (Some(upload_id), FileState::Pending | FileState::Processing) => {
            let upload_id = Some(upload_id.clone());
            Some(Doomed { prefix: upload_key, due_at: now, upload_id })
        }
        (None, FileState::Pending) => {
            file.expires_at.map(|due_at| Doomed::objects(upload_key, due_at))
        }
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

/// Gives up to `limit` files up that were not uploaded in time, or are of no use, and returns how many.
///
/// # Errors
/// When the database fails.
pub async fn give_up_expired(core: &Core, origin: &Origin, limit: i64) -> Result<usize> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let gone = files::delete_expired(&mut tx, now, limit).await?;
    clear(core, &mut tx, &gone).await?;
    tx.commit().await?;
    Ok(gone.len())
}

/// Deletes what up to `limit` doomed prefixes stand for, and returns how many of these there were.
///
/// # Errors
/// [`Code::Unavailable`] when the storage or the database is down.
pub async fn delete_doomed(core: &Core, limit: i64) -> Result<usize> {
    // What was stored before it was taken away stays where it is.
    let Some(storage) = &core.storage else { return Ok(0) };
    let due = {
        let mut conn = core.db.conn().await?;
        doomed_objects::due(&mut conn, core.clock.now(), limit).await?
    };
    for doomed in &due {
        if let Some(upload_id) = &doomed.upload_id {
            storage.end(&doomed.prefix, upload_id).await?;
        }
        storage.delete_all(&doomed.prefix).await?;
        let mut conn = core.db.conn().await?;
        doomed_objects::delete(&mut conn, doomed).await.map_err(DbError::from)?;
    }
    Ok(due.len())
}
