//! Users as staff see them.

use uuid::Uuid;

use super::{Code, Core, Result};
use crate::db::{
    Origin,
    users::{self, StatusChange, User, UserFilter, UserSort, UserStatus},
};

/// One page of a list, and how many there are in all.
#[derive(Debug, Clone)]
pub struct UserPage {
    pub items: Vec<User>,
    pub total: i64,
}

/// Which page, and how it is sorted.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// From 1.
    pub page: u32,
    pub per_page: u32,
    /// Fields, each with whether it goes down.
    pub sort: Vec<(UserSort, bool)>,
}

/// One page of the users that match: two statements.
///
/// # Errors
/// When the database fails.
pub async fn list(core: &Core, filter: &UserFilter, request: &PageRequest) -> Result<UserPage> {
    let limit = i64::from(request.per_page);
    let offset = (i64::from(request.page) - 1) * limit;
    let mut conn = core.db.conn().await?;
    let (items, total) = users::list(&mut conn, filter, &request.sort, limit, offset).await?;
    Ok(UserPage { items, total })
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
/// [`Code::NotFound`] or [`Code::UserAlreadySuspended`].
pub async fn suspend(core: &Core, origin: &Origin, id: Uuid, reason: &str) -> Result<User> {
    change_status(core, origin, id, UserStatus::Suspended, reason).await
}

/// Lets a suspended user sign in again.
///
/// # Errors
/// [`Code::NotFound`] or [`Code::UserNotSuspended`].
pub async fn reactivate(core: &Core, origin: &Origin, id: Uuid, reason: &str) -> Result<User> {
    change_status(core, origin, id, UserStatus::Active, reason).await
}

async fn change_status(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    to: UserStatus,
    reason: &str,
) -> Result<User> {
    let (from, already) = match to {
        UserStatus::Suspended => (UserStatus::Active, Code::UserAlreadySuspended),
        UserStatus::Active => (UserStatus::Suspended, Code::UserNotSuspended),
    };
    let mut tx = core.db.begin(origin).await?;
    let change = StatusChange { from, to, reason, by: origin.actor.admin_id(), now: tx.now };
    let Some(user) = users::change_status(&mut tx, id, change).await? else {
        users::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
        return Err(already.into());
    };
    if to == UserStatus::Suspended {
        core.client_sessions.end_all(&mut tx, id, None).await?;
    }
    tx.commit().await?;
    Ok(user)
}
