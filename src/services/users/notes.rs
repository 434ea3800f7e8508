//! What staff write down about a user, for each other; the user doesn't see it.

use uuid::Uuid;

use super::super::{
    Code, Core, Result,
    audit::{self, Action, Entry, Subject},
    cursors::{ListRequest, Listed},
};
use crate::db::{
    Origin, Tx,
    user_notes::{self, NewUserNote, UserNote, UserNoteFilter, UserNoteSort},
    users,
};

/// One page of the notes about a user: two statements.
///
/// # Errors
/// [`Code::NotFound`] for the user, or [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    user_id: Uuid,
    request: ListRequest<UserNoteSort>,
) -> Result<Listed<UserNote>> {
    let filter = UserNoteFilter { user_id };
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    users::find(&mut conn, user_id).await?.ok_or(Code::NotFound)?;
    let rows = user_notes::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, None)
}

/// Writes one.
///
/// # Errors
/// [`Code::NotFound`] for the user.
pub async fn create(core: &Core, origin: &Origin, user_id: Uuid, text: &str) -> Result<UserNote> {
    let mut tx = core.db.begin(origin).await?;
    users::lock(&mut tx, user_id).await?.ok_or(Code::NotFound)?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let new = NewUserNote { id, user_id, admin_id: origin.actor.admin_id(), text, now };
    let note = user_notes::insert(&mut tx, new).await?;
    record(core, &mut tx, Action::UserNoteWritten, user_id).await?;
    tx.commit().await?;
    Ok(note)
}

/// Deletes one.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(core: &Core, origin: &Origin, user_id: Uuid, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    if !user_notes::delete(&mut tx, user_id, id).await? {
        return Err(Code::NotFound.into());
    }
    record(core, &mut tx, Action::UserNoteDeleted, user_id).await?;
    Ok(tx.commit().await?)
}

async fn record(core: &Core, tx: &mut Tx, action: Action, user_id: Uuid) -> Result<()> {
    audit::record(core, tx, Entry::new(action, Subject::User(user_id))).await
}
