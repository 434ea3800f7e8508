//! What was uploaded without having been announced, as temporary credentials allow: it counts for nobody's quota, so it
//! doesn't stay.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    super::{Core, Result, jobs::Job},
    removal::{self, forget},
};
use crate::{adapters::storage::Listing, db::files};

/// Deletes uploads that no file waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SweepUploads {}

impl Job for SweepUploads {
    const KIND: &'static str = "files.sweep";
    const QUEUE: &'static str = "maintenance";
    const MAX_ATTEMPTS: i32 = 3;
    const TIME_LIMIT: Duration = Duration::from_mins(10);

    fn unique_key(&self) -> Option<String> {
        Some(Self::KIND.to_owned())
    }
}

/// Of up to a thousand uploads behind the key `after`, deletes those that no file waits for. Returns how many these are,
/// and where the list goes on. Nobody knows the key of an upload before its file is stored, so none is taken too early.
///
/// # Errors
/// [`Code::Unavailable`](super::super::Code::Unavailable) when the storage or the database is down.
pub async fn sweep(core: &Core, after: Option<&str>) -> Result<(usize, Option<String>)> {
    let Some(storage) = &core.storage else { return Ok((0, None)) };
    let Listing { objects, next } = storage.list("uploads/", after).await?;
    let ids: Vec<Uuid> = objects.iter().filter_map(|one| removal::file_of(&one.key)).collect();
    let awaited = files::awaited(&mut *core.db.conn().await?, &ids).await?;
    let awaited: BTreeSet<String> = awaited.into_iter().collect();
    let keys = objects.into_iter().map(|one| one.key).filter(|key| !awaited.contains(key));
    let strays: Vec<String> = keys.collect();
    // What can't be deleted keeps nothing behind it.
    forget(storage.delete_each(&strays).await);
    Ok((strays.len(), next))
}
