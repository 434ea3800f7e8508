//! What users are told within the apps.

use uuid::Uuid;

use super::{
    Code, Core, Result,
    cursors::{ListRequest, Listed},
};
use crate::db::{
    Origin,
    notifications::{self, Notification, NotificationFilter, NotificationSort},
};

/// One page of a user's own notifications: one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: NotificationFilter,
    request: ListRequest<NotificationSort>,
) -> Result<Listed<Notification>> {
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let rows = notifications::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, None)
}

/// How many a user has not read.
///
/// # Errors
/// When the database fails.
pub async fn count_unread(core: &Core, user_id: Uuid) -> Result<i64> {
    Ok(notifications::count_unread(&mut *core.db.conn().await?, user_id).await?)
}

/// Notes that a user has read one.
///
/// # Errors
/// [`Code::NotFound`], also for another user's.
pub async fn read(core: &Core, origin: &Origin, user_id: Uuid, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    if !notifications::set_read(&mut tx, user_id, id, now).await? {
        return Err(Code::NotFound.into());
    }
    Ok(tx.commit().await?)
}

/// Notes that a user has read all.
///
/// # Errors
/// When the database fails.
pub async fn read_all(core: &Core, origin: &Origin, user_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    notifications::set_all_read(&mut tx, user_id, now).await?;
    Ok(tx.commit().await?)
}
