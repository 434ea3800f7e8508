//! Whether a user may act: staff suspend and reactivate, delete and restore.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::{
    Code, Core, Expected, FieldError, Result, ServiceError,
    audit::{self, Entry, Subject},
    jobs::{Job, Order},
};
use crate::db::{
    Origin, Tx,
    users::{self, StatusChange, User, UserStatus},
};

/// Keeps a user out from their next request on, and ends their sessions; `until` then, or until they are
/// reactivated.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::UserAlreadySuspended`], [`Code::UserDeleted`], or
/// [`Code::ValidationFailed`] for an end that isn't in the future.
pub async fn suspend(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    reason: &str,
    until: Option<DateTime<Utc>>,
) -> Result<User> {
    if until.is_some_and(|until| until <= core.clock.now()) {
        let fault = FieldError::new("until", "past", "must be in the future");
        return Err(ServiceError::invalid(vec![fault]));
    }
    change(core, origin, id, expected, |user, _| match user.status {
        UserStatus::Active => {
            Ok(Wanted { suspended_until: until, ..Wanted::new(UserStatus::Suspended, reason) })
        }
        UserStatus::Suspended => Err(Code::UserAlreadySuspended),
        UserStatus::Deleted => Err(Code::UserDeleted),
    })
    .await
}

/// Lets a suspended user sign in again.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::UserNotSuspended`] or [`Code::UserDeleted`].
pub async fn reactivate(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    reason: &str,
) -> Result<User> {
    change(core, origin, id, expected, |user, _| match user.status {
        UserStatus::Active => Err(Code::UserNotSuspended),
        UserStatus::Suspended => Ok(Wanted::new(UserStatus::Active, reason)),
        UserStatus::Deleted => Err(Code::UserDeleted),
    })
    .await
}

/// Keeps a user out, whom a job erases when the time of grace is over, unless they are restored. What the user
/// has asked for counts if it is sooner.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::UserDeleted`].
pub async fn delete(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    reason: &str,
) -> Result<User> {
    change(core, origin, id, expected, |user, now| match user.status {
        UserStatus::Active | UserStatus::Suspended => {
            let due = now + core.deletion_grace;
            let deletion_due_at = Some(user.deletion_due_at.map_or(due, |sooner| sooner.min(due)));
            Ok(Wanted { deletion_due_at, ..Wanted::new(UserStatus::Deleted, reason) })
        }
        UserStatus::Deleted => Err(Code::UserDeleted),
    })
    .await
}

/// Takes a user out of the bin, who may sign in again.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::UserNotDeleted`].
pub async fn restore(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    reason: &str,
) -> Result<User> {
    change(core, origin, id, expected, |user, _| match user.status {
        UserStatus::Active | UserStatus::Suspended => Err(Code::UserNotDeleted),
        UserStatus::Deleted => Ok(Wanted::new(UserStatus::Active, reason)),
    })
    .await
}

/// Reactivates a user when a suspension is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LiftSuspension {
    pub user_id: Uuid,
}

impl Job for LiftSuspension {
    const KIND: &'static str = "user.lift_suspension";
}

/// As [`LiftSuspension`] says; of a suspension that was changed meanwhile nothing.
///
/// # Errors
/// When the database fails.
pub async fn lift_suspension(core: &Core, origin: &Origin, user_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let present = users::lock(&mut tx, user_id).await?;
    let is_over = |user: &User| {
        user.status == UserStatus::Suspended && user.suspended_until.is_some_and(|end| end <= now)
    };
    if let Some(user) = present.filter(is_over) {
        let wanted = Wanted::new(UserStatus::Active, "The time of the suspension is over.");
        change_status(core, &mut tx, &user, wanted.change(None, now)).await?;
    }
    Ok(tx.commit().await?)
}

/// What a user's status is to be. A state has an end only if it is said here.
struct Wanted<'a> {
    status: UserStatus,
    reason: &'a str,
    suspended_until: Option<DateTime<Utc>>,
    deletion_due_at: Option<DateTime<Utc>>,
}

impl<'a> Wanted<'a> {
    fn new(status: UserStatus, reason: &'a str) -> Self {
        Self { status, reason, suspended_until: None, deletion_due_at: None }
    }

    fn change(&self, by: Option<Uuid>, now: DateTime<Utc>) -> StatusChange<'a> {
        StatusChange {
            status: self.status,
            reason: self.reason,
            suspended_until: self.suspended_until,
            deletion_due_at: self.deletion_due_at,
            by,
            now,
        }
    }
}

async fn change<'a>(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    decide: impl FnOnce(&User, DateTime<Utc>) -> Result<Wanted<'a>, Code>,
) -> Result<User> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let present = users::lock(&mut tx, id).await?.ok_or(Code::NotFound)?;
    expected.check(&present)?;
    let wanted = decide(&present, now)?;
    let change = wanted.change(origin.actor.admin_id(), now);
    let user = change_status(core, &mut tx, &present, change).await?;
    if let Some(end) = user.suspended_until {
        let order = Order::of(&LiftSuspension { user_id: id })?.at(end);
        core.jobs.enqueue_all(core, &mut tx, vec![order]).await?;
    }
    if user.status != UserStatus::Active {
        core.client_sessions.end_all(core, &mut tx, id, None).await?;
    }
    tx.commit().await?;
    Ok(user)
}

async fn change_status(
    core: &Core,
    tx: &mut Tx,
    present: &User,
    change: StatusChange<'_>,
) -> Result<User> {
    let action = match change.status {
        UserStatus::Suspended => audit::Action::UserSuspended,
        UserStatus::Deleted => audit::Action::UserDeleted,
        UserStatus::Active if present.status == UserStatus::Deleted => audit::Action::UserRestored,
        UserStatus::Active => audit::Action::UserReactivated,
    };
    let user = users::change_status(tx, present.id, change).await?;
    let entry = Entry::new(action, Subject::User(user.id)).because(change.reason);
    audit::record(core, tx, entry.changed(present, &user)).await?;
    Ok(user)
}
