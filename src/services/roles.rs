//! Roles that staff define. Nobody puts into one what they don't have themselves, nor changes what they may do
//! (security condition 17).

use uuid::Uuid;

use super::{
    Code, Core, Expected, Result,
    audit::{self, Action, Entry, Subject},
    cursors::{ListRequest, Listed},
    permissions::Permissions,
};
use crate::db::{
    Origin, Tx,
    roles::{self, Definition, Role, RoleFilter, RoleSort},
};

/// One page of the roles that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &RoleFilter,
    request: ListRequest<RoleSort>,
) -> Result<Listed<Role>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(roles::count(&mut conn, filter)).await?;
    let rows = roles::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// One role.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<Role> {
    Ok(roles::find(&mut *core.db.conn().await?, id).await?.ok_or(Code::NotFound)?)
}

/// Makes a role. `own` is what the caller may do.
///
/// # Errors
/// [`Code::PermissionDenied`] for what the caller may not do, or [`Code::RoleNameTaken`].
pub async fn create(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    new: &Definition,
) -> Result<Role> {
    own.require_all(Permissions::granted_by(&new.permissions))?;
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let role = roles::insert(&mut tx, id, new, now).await?.ok_or(Code::RoleNameTaken)?;
    let entry = Entry::new(Action::RoleCreated, Subject::Role(id)).made(&role);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(role)
}

/// Changes a role, and from the next request on what those may do who have it. `own` is what the caller may do.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::RoleShipped`], [`Code::OwnRole`],
/// [`Code::PermissionDenied`] to add what the caller may not do, or [`Code::RoleNameTaken`].
pub async fn update(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    id: Uuid,
    expected: Expected<Role>,
    new: &Definition,
) -> Result<Role> {
    let mut tx = core.db.begin(origin).await?;
    let (present, holders) = lock(&mut tx, id, expected).await?;
    let (before, after) =
        (Permissions::of_role(&present), Permissions::granted_by(&new.permissions));
    if before != after && holders.iter().any(|holder| Some(*holder) == origin.actor.admin_id()) {
        return Err(Code::OwnRole.into());
    }
    own.require_all(after.without(before))?;
    let now = tx.now;
    let role = roles::update(&mut tx, id, new, now).await?.ok_or(Code::RoleNameTaken)?;
    let entry = Entry::new(Action::RoleUpdated, Subject::Role(id)).changed(&present, &role);
    audit::record(core, &mut tx, entry).await?;
    for holder in holders {
        core.staff_sessions.check.changes(&mut tx, holder);
    }
    tx.commit().await?;
    Ok(role)
}

/// Deletes a role that nobody has.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::RoleShipped`] or [`Code::RoleInUse`].
pub async fn delete(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<Role>,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let (role, holders) = lock(&mut tx, id, expected).await?;
    if !holders.is_empty() {
        return Err(Code::RoleInUse.into());
    }
    roles::delete(&mut tx, id).await?;
    let entry = Entry::new(Action::RoleDeleted, Subject::Role(id)).removed(&role);
    audit::record(core, &mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// A role that can be changed, and who has it; both stay so until the transaction ends.
async fn lock(tx: &mut Tx, id: Uuid, expected: Expected<Role>) -> Result<(Role, Vec<Uuid>)> {
    let present = roles::lock(tx, id).await?.ok_or(Code::NotFound)?;
    if present.is_shipped {
        return Err(Code::RoleShipped.into());
    }
    expected.check(&present)?;
    let holders = roles::holders(tx, id).await?;
    Ok((present, holders))
}
