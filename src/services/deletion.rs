//! Deleting one's own account: wanted, for a while taken back, then done for good.

use uuid::Uuid;

use super::{
    Code, Core, Result,
    events::{DeletionCancelled, DeletionRequested, UserErased},
};
use crate::db::{
    Origin,
    jobs::control,
    users::{self, User},
};

/// Has the account deleted when its time of grace is over, and ends all sessions. Signing in again is possible
/// until then, to cancel it. Wanted once more, it happens no later.
///
/// # Errors
/// When the database fails.
pub async fn request(core: &Core, origin: &Origin, user_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let user = users::lock(&mut tx, user_id).await?.ok_or(Code::SessionEnded)?;
    if user.deletion_due_at.is_none() {
        users::set_deletion_due(&mut tx, user.id, Some(now + core.deletion_grace), now).await?;
        core.jobs.publish(core, &mut tx, &DeletionRequested { user_id: user.id }).await?;
    }
    core.client_sessions.end_all(&mut tx, user.id, None).await?;
    Ok(tx.commit().await?)
}

/// The account stays after all.
///
/// # Errors
/// [`Code::DeletionNotRequested`].
pub async fn cancel(core: &Core, origin: &Origin, user_id: Uuid) -> Result<User> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let user = users::lock(&mut tx, user_id).await?.ok_or(Code::SessionEnded)?;
    if user.deletion_due_at.is_none() {
        return Err(Code::DeletionNotRequested.into());
    }
    let user = users::set_deletion_due(&mut tx, user.id, None, now).await?;
    core.jobs.publish(core, &mut tx, &DeletionCancelled { user_id: user.id }).await?;
    tx.commit().await?;
    Ok(user)
}

/// Erases up to `limit` accounts whose time of grace is over, and returns how many: their rows, what hangs on
/// them (sessions, codes, factors, notifications, mails), and jobs that name them. Answers kept for an
/// `Idempotency-Key` name nobody, and go within a day.
///
/// # Errors
/// When the database fails.
pub async fn erase_due(core: &Core, origin: &Origin, limit: i64) -> Result<usize> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let due = users::lock_due_for_deletion(&mut tx, now, limit).await?;
    let ids: Vec<Uuid> = due.iter().map(|user| user.id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    control::delete_of_users(&mut tx, &ids).await?;
    let erased = users::delete(&mut tx, &ids).await?;
    for user_id in ids {
        core.client_sessions.check.changes(&mut tx, user_id);
        core.jobs.publish(core, &mut tx, &UserErased { user_id }).await?;
    }
    tx.commit().await?;
    Ok(erased)
}
