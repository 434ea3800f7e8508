//! Deleting one's own account: wanted, for a while taken back, then done for good.

use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Entry, Subject},
    events::{DeletionCancelled, DeletionRequested, UserErased},
    files::removal,
    posts,
};
use crate::{
    db::{
        Origin, audit_logs,
        jobs::control,
        users::{self, User},
    },
    telemetry::Chain,
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
        let due_at = Some(now + core.deletion_grace);
        let changed = users::set_deletion_due(&mut tx, user.id, due_at, now).await?;
        let entry = Entry::new(audit::Action::UserDeletionRequested, Subject::User(user.id));
        audit::record(core, &mut tx, entry.changed(&user, &changed)).await?;
        core.jobs.publish(core, &mut tx, &DeletionRequested { user_id: user.id }).await?;
    }
    core.client_sessions.end_all(core, &mut tx, user.id, None).await?;
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
    let changed = users::set_deletion_due(&mut tx, user.id, None, now).await?;
    let entry = Entry::new(audit::Action::UserDeletionCancelled, Subject::User(user.id));
    audit::record(core, &mut tx, entry.changed(&user, &changed)).await?;
    core.jobs.publish(core, &mut tx, &DeletionCancelled { user_id: user.id }).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Erases up to `limit` accounts whose time of grace is over, each by itself, and returns how many: their rows, what hangs
/// on them (sessions, codes, factors, notifications, mails, posts), their files, jobs that name them, and what the audit log
/// tells of them beyond that something was done. Answers kept for an `Idempotency-Key` name nobody, and go within a day.
///
/// # Errors
/// When the database fails for any of them; the others are erased.
pub async fn erase_due(core: &Core, origin: &Origin, limit: i64) -> Result<usize> {
    let now = core.clock.now();
    let due = users::due_for_deletion(&mut *core.db.conn().await?, now, limit).await?;
    let (mut erased, mut failed) = (0, None);
    for id in due {
        match erase(core, origin, id).await {
            Ok(is_erased) => erased += usize::from(is_erased),
            // It keeps no other account from being erased. The first one is told by who asked.
            Err(error) if failed.is_some() => {
                tracing::warn!("another account can't be erased: {}", Chain(&error));
            }
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(erased), Err)
}

/// Erases one account, if it is still to be.
async fn erase(core: &Core, origin: &Origin, user_id: Uuid) -> Result<bool> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let user = users::lock(&mut tx, user_id).await?;
    if user.and_then(|user| user.deletion_due_at).is_none_or(|due| due > now) {
        return Ok(false);
    }
    let ids = [user_id];
    control::delete_of_users(&mut tx, &ids).await?;
    removal::delete_of(core, &mut tx, &ids).await?;
    users::delete(&mut tx, user_id).await?;
    posts::tell_of_authors(core, &mut tx, &ids).await?;
    audit_logs::erase_details(&mut tx, &ids, now).await?;
    core.client_sessions.check.changes(&mut tx, user_id);
    let entry = Entry::new(audit::Action::UserErased, Subject::User(user_id));
    audit::record(core, &mut tx, entry).await?;
    core.jobs.publish(core, &mut tx, &UserErased { user_id }).await?;
    tx.commit().await?;
    Ok(true)
}
