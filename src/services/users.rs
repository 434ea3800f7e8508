//! Users as staff see them.

use uuid::Uuid;

use super::{
    Code, Core, Expected, Result,
    audit::{self, Entry, Subject},
    cursors::{ListRequest, Listed},
};
use crate::db::{
    Origin,
    users::{self, StatusChange, User, UserFilter, UserSort, UserStatus},
};

/// One page of the users that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &UserFilter,
    request: ListRequest<UserSort>,
) -> Result<Listed<User>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total =
        if reading.is_counted() { Some(users::count(&mut conn, filter).await?) } else { None };
    let rows = users::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// One user.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<User> {
    let mut conn = core.db.conn().await?;
    Ok(users::find(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// Keeps a user out from their next request on, and ends their sessions.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::UserAlreadySuspended`].
pub async fn suspend(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    reason: &str,
) -> Result<User> {
    change_status(core, origin, id, expected, UserStatus::Suspended, reason).await
}

/// Lets a suspended user sign in again.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::UserNotSuspended`].
pub async fn reactivate(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    reason: &str,
) -> Result<User> {
    change_status(core, origin, id, expected, UserStatus::Active, reason).await
}

async fn change_status(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    to: UserStatus,
    reason: &str,
) -> Result<User> {
    let (from, already, action) = match to {
        UserStatus::Suspended => {
            (UserStatus::Active, Code::UserAlreadySuspended, audit::Action::UserSuspended)
        }
        UserStatus::Active => {
            (UserStatus::Suspended, Code::UserNotSuspended, audit::Action::UserReactivated)
        }
    };
    let mut tx = core.db.begin(origin).await?;
    let present = users::lock(&mut tx, id).await?.ok_or(Code::NotFound)?;
    expected.check(&present)?;
    let change = StatusChange { from, to, reason, by: origin.actor.admin_id(), now: tx.now };
    let changed = users::change_status(&mut tx, id, change).await?;
    let user = changed.ok_or(already)?;
    if to == UserStatus::Suspended {
        core.client_sessions.end_all(&mut tx, id, None).await?;
    }
    let entry = Entry::new(action, Subject::User(id)).because(reason).changed(&present, &user);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(user)
}
