//! Files as staff see them: whose they are, how much they take, and what nobody's object is.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    super::{
        Code, Core, Result,
        audit::{self, Action, Entry, Subject},
        cursors::{ListRequest, Listed},
    },
    FileType, download_of, inline_of, removal, storage,
};
use crate::{
    adapters::storage::{Listing, Presigned},
    db::{
        Origin,
        file_spaces::{self, FileSpace, FileSpaceSort},
        files::{self, File, FileFilter, ManagedFileSort},
    },
};

/// One page of the files that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &FileFilter,
    request: ListRequest<ManagedFileSort>,
) -> Result<Listed<File>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(files::count(&mut conn, filter)).await?;
    let rows = files::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// One file.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<File> {
    let mut conn = core.db.conn().await?;
    Ok(files::find(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// A URL by which a file can be looked at for a while; a browser shows pictures, and saves anything else.
///
/// # Errors
/// [`Code::NotFound`], [`Code::FileNotReady`], [`Code::NotConfigured`].
pub async fn preview(core: &Core, origin: &Origin, id: Uuid) -> Result<Presigned> {
    let mut tx = core.db.begin(origin).await?;
    let file = files::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
    let is_picture = FileType::parse(&file.content_type).is_some_and(FileType::is_picture);
    let signed =
        if is_picture { inline_of(core, &file).await? } else { download_of(core, &file).await? };
    let subject = Subject::User(file.owner_id);
    audit::record(core, &mut tx, Entry::new(Action::UserFilePreviewed, subject).made(&file))
        .await?;
    tx.commit().await?;
    Ok(signed)
}

/// Deletes a file.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(core: &Core, origin: &Origin, id: Uuid, reason: &str) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let gone = files::delete(&mut tx, id).await?;
    let file = gone.first().ok_or(Code::NotFound)?;
    removal::clear(core, &mut tx, &gone).await?;
    let entry = Entry::new(Action::UserFileDeleted, Subject::User(file.owner_id));
    audit::record(core, &mut tx, entry.because(reason).removed(file)).await?;
    Ok(tx.commit().await?)
}

/// One page of what each user has: one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn usage(core: &Core, request: ListRequest<FileSpaceSort>) -> Result<Listed<FileSpace>> {
    let reading = core.cursors.start(request, &())?;
    let mut conn = core.db.conn().await?;
    let rows = file_spaces::list(&mut conn, &reading.window).await?;
    reading.finish(rows, None)
}

/// Of up to a thousand objects behind the key `after`: those that belong to no file, and where the list goes on.
/// An upload that is just being completed may look like one.
///
/// # Errors
/// [`Code::NotConfigured`], and [`Code::Unavailable`] when the storage is down.
pub async fn orphans(core: &Core, after: Option<&str>) -> Result<Listing> {
    let mut listing = storage(core)?.list("", after).await?;
    let ids: Vec<Uuid> =
        listing.objects.iter().filter_map(|one| removal::file_of(&one.key)).collect();
    let existing = files::existing(&mut *core.db.conn().await?, &ids).await?;
    let existing: BTreeSet<Uuid> = existing.into_iter().collect();
    listing
        .objects
        .retain(|one| removal::file_of(&one.key).is_none_or(|id| !existing.contains(&id)));
    Ok(listing)
}
