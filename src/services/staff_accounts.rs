//! Staff as other staff see and change them. Nobody has power over who may do more than they may themselves, nor
//! over their own account; and one super-admin at least may always act (security condition 17).

use uuid::Uuid;

use super::{
    Code, Core, Expected, FieldError, Result, ServiceError,
    audit::{self, Action, Entry, Subject},
    cursors::{ListRequest, Listed},
    permissions::{Permissions, SUPER_ADMIN},
};
use crate::db::{
    Origin, Tx,
    admins::{self, AdminFilter, AdminSort, AdminStatus, Member},
    roles::{self, Role},
};

/// One page of the staff that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &AdminFilter,
    request: ListRequest<AdminSort>,
) -> Result<Listed<Member>> {
    let reading = core.cursors.start(request, filter)?;
    let (mut conn, now) = (core.db.conn().await?, core.clock.now());
    let total = reading.total(admins::count(&mut conn, filter, now)).await?;
    let rows = admins::list(&mut conn, filter, now, &reading.window).await?;
    reading.finish(rows, total)
}

/// One member of the staff.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<Member> {
    let mut conn = core.db.conn().await?;
    Ok(admins::find_member(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// What is to change; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub name: Option<String>,
    /// Instead of all roles that there are.
    pub roles: Option<Vec<Uuid>>,
}

/// Changes a name, and roles, which counts from the next request on. `own` is what the caller may do.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::OwnRole`], [`Code::PermissionDenied`] for roles that give
/// more than the caller has, and about who has more; [`Code::LastSuperAdmin`], or [`Code::ValidationFailed`] for a
/// role that isn't there.
pub async fn update(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    id: Uuid,
    expected: Expected<Member>,
    changes: Changes,
) -> Result<Member> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let (present, held) = lock(&mut tx, own, id, expected).await?;
    if let Some(wanted) = changes.roles {
        let wanted = find_roles(&mut tx, &wanted).await?;
        let is_in = |roles: &[Role], one: &Role| roles.iter().any(|role| role.id == one.id);
        let added: Vec<&Role> = wanted.iter().filter(|role| !is_in(&held, role)).collect();
        let removed: Vec<&Role> = held.iter().filter(|role| !is_in(&wanted, role)).collect();
        if !(added.is_empty() && removed.is_empty()) && origin.actor.admin_id() == Some(id) {
            return Err(Code::OwnRole.into());
        }
        own.require_all(given_by(added.iter().copied()))?;
        let ids = |roles: &[&Role]| roles.iter().map(|role| role.id).collect::<Vec<_>>();
        roles::take(&mut tx, id, &ids(&removed)).await?;
        roles::give(&mut tx, id, &ids(&added), now).await?;
        core.staff_sessions.check.changes(&mut tx, id);
        if removed.iter().any(|role| role.name == SUPER_ADMIN) {
            keep_a_super_admin(&mut tx).await?;
        }
    }
    admins::update(&mut tx, id, changes.name.as_deref(), now).await?;
    let member = admins::find_member(&mut tx, id).await?.ok_or(Code::NotFound)?;
    let entry = Entry::new(Action::AdminUpdated, Subject::Admin(id)).changed(&present, &member);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(member)
}

/// Keeps a member of the staff out from their next request on, or lets them in again.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::OwnAccount`], [`Code::PermissionDenied`] about who may do
/// more, [`Code::LastSuperAdmin`], [`Code::AdminAlreadyDeactivated`] or [`Code::AdminNotDeactivated`].
pub async fn set_status(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    id: Uuid,
    expected: Expected<Member>,
    to: AdminStatus,
) -> Result<Member> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let (present, held) = lock_other(&mut tx, own, id, expected).await?;
    if !admins::set_status(&mut tx, id, to, now).await? {
        return Err(match to {
            AdminStatus::Active => Code::AdminNotDeactivated.into(),
            AdminStatus::Deactivated => Code::AdminAlreadyDeactivated.into(),
        });
    }
    if to == AdminStatus::Deactivated {
        core.staff_sessions.end_all(core, &mut tx, id, None).await?;
        keep_a_super_admin_of(&mut tx, &held).await?;
    }
    let member = admins::find_member(&mut tx, id).await?.ok_or(Code::NotFound)?;
    let action = match to {
        AdminStatus::Active => Action::AdminReactivated,
        AdminStatus::Deactivated => Action::AdminDeactivated,
    };
    let entry = Entry::new(action, Subject::Admin(id)).changed(&present, &member);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(member)
}

/// Deletes a member of the staff with their sessions.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::OwnAccount`], [`Code::PermissionDenied`] about who may do
/// more, or [`Code::LastSuperAdmin`].
pub async fn delete(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    id: Uuid,
    expected: Expected<Member>,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let (present, held) = lock_other(&mut tx, own, id, expected).await?;
    core.staff_sessions.end_all(core, &mut tx, id, None).await?;
    admins::delete(&mut tx, id).await?;
    keep_a_super_admin_of(&mut tx, &held).await?;
    let entry = Entry::new(Action::AdminDeleted, Subject::Admin(id)).removed(&present);
    audit::record(core, &mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// The roles with these identifiers.
///
/// # Errors
/// [`Code::ValidationFailed`] for one that isn't there.
pub(super) async fn find_roles(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Role>> {
    let found = roles::find_all(tx, ids).await?;
    let missing = ids.iter().enumerate().filter(|(_, id)| found.iter().all(|role| role.id != **id));
    let faults: Vec<_> = missing
        .map(|(index, _)| {
            FieldError::new(format!("role_ids[{index}]"), "unknown_role", "is no role")
        })
        .collect();
    if faults.is_empty() { Ok(found) } else { Err(ServiceError::invalid(faults)) }
}

/// What roles give together.
pub(super) fn given_by<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Permissions {
    let given = roles.into_iter().map(Permissions::of_role);
    given.fold(Permissions::default(), Permissions::and)
}

/// Locks a member of the staff, over whom the caller has power, and returns them and their roles.
pub(super) async fn lock(
    tx: &mut Tx,
    own: Permissions,
    id: Uuid,
    expected: Expected<Member>,
) -> Result<(Member, Vec<Role>)> {
    admins::lock(tx, id).await?.ok_or(Code::NotFound)?;
    let present = admins::find_member(tx, id).await?.ok_or(Code::NotFound)?;
    let held: Vec<Role> =
        roles::of_admins(tx, &[id]).await?.into_iter().map(|(_, role)| role).collect();
    own.require_all(given_by(&held))?;
    expected.check(&present)?;
    Ok((present, held))
}

/// The same of anybody but the caller.
pub(super) async fn lock_other(
    tx: &mut Tx,
    own: Permissions,
    id: Uuid,
    expected: Expected<Member>,
) -> Result<(Member, Vec<Role>)> {
    if tx.origin.actor.admin_id() == Some(id) {
        return Err(Code::OwnAccount.into());
    }
    lock(tx, own, id, expected).await
}

async fn keep_a_super_admin_of(tx: &mut Tx, held: &[Role]) -> Result<()> {
    if held.iter().any(|role| role.name == SUPER_ADMIN) {
        return keep_a_super_admin(tx).await;
    }
    Ok(())
}

/// After a change: makes sure that one is left who may act. Of two changes at once the second sees the first.
async fn keep_a_super_admin(tx: &mut Tx) -> Result<()> {
    if admins::lock_and_check_active_holder(tx, SUPER_ADMIN).await? {
        Ok(())
    } else {
        Err(Code::LastSuperAdmin.into())
    }
}
