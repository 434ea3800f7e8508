//! Accounts of the backoffice.

use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Code, Core, FieldError, Result, ServiceError,
    audit::{self, Entry, Subject},
    email_address::EmailAddress,
    limits::{Action, Who},
    permissions::SUPER_ADMIN,
};
use crate::db::{
    Origin, Tx,
    admins::{self, Admin, Member, NewAdmin},
    roles,
};

/// The address of the super-admin whom the first start makes.
pub const FIRST_EMAIL: &str = "admin@example.com";

/// The account of somebody who is signed in: one statement.
///
/// # Errors
/// [`Code::SessionEnded`] when it is gone.
pub async fn current(core: &Core, id: Uuid) -> Result<Admin> {
    Ok(current_member(core, id).await?.admin)
}

/// The same with its roles: one statement, too.
///
/// # Errors
/// As [`current`].
pub async fn current_member(core: &Core, id: Uuid) -> Result<Member> {
    let member = admins::find_member(&mut *core.db.conn().await?, id).await?;
    Ok(member.ok_or(Code::SessionEnded)?)
}

/// Changes the admin's own password and ends their sessions but this one.
///
/// # Errors
/// [`Code::InvalidCredentials`] when the current password is wrong, [`Code::ValidationFailed`]
/// for a weak new one, [`Code::TooManyRequests`].
pub async fn change_password(
    core: &Core,
    origin: &Origin,
    admin: &Admin,
    session_id: Uuid,
    current: &SecretString,
    new: &SecretString,
) -> Result<()> {
    core.limits.check(origin, Action::Password, Who::Session(session_id)).await?;
    if !core.passwords.verify(current, Some(&admin.password_hash)).await? {
        return Err(Code::InvalidCredentials.into());
    }
    core.passwords.policy.check("new_password", new, &[&admin.email, &admin.name], false)?;
    let hash = core.passwords.hash(new).await?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    // Fails to match when the password was reset while this one was hashed.
    if !admins::replace_password(&mut tx, admin.id, &admin.password_hash, &hash, now).await? {
        return Err(Code::InvalidCredentials.into());
    }
    core.staff_sessions.end_all(core, &mut tx, admin.id, Some(session_id)).await?;
    let entry = Entry::new(audit::Action::AdminPasswordChanged, Subject::Admin(admin.id));
    audit::record(core, &mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// Adds a super-admin, with the given password or a random one, and returns the password.
///
/// # Errors
/// [`Code::EmailTaken`], or [`Code::ValidationFailed`] for a weak password.
pub async fn create(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    name: &str,
    password: Option<SecretString>,
) -> Result<SecretString> {
    if name.trim().is_empty() {
        let fault = FieldError::new("name", "required", "must not be empty");
        return Err(ServiceError::invalid(vec![fault]));
    }
    let password = password.unwrap_or_else(|| core.random.password().into());
    core.passwords.policy.check("password", &password, &[email.as_str(), name], false)?;
    let hash = core.passwords.hash(&password).await?;
    let mut tx = core.db.begin(origin).await?;
    insert_super_admin(core, &mut tx, email.as_str(), name, &hash).await?;
    tx.commit().await?;
    Ok(password)
}

/// Makes the first super-admin if there is no staff at all, and returns the password. Of any
/// number of processes that start at once, one makes it.
///
/// # Errors
/// When the database fails.
pub async fn create_first(core: &Core, origin: &Origin) -> Result<Option<SecretString>> {
    let mut tx = core.db.begin(origin).await?;
    if !admins::lock_and_check_empty(&mut tx).await? {
        return Ok(None);
    }
    let password = SecretString::from(core.random.password());
    let hash = core.passwords.hash(&password).await?;
    insert_super_admin(core, &mut tx, FIRST_EMAIL, "Super Admin", &hash).await?;
    tx.commit().await?;
    Ok(Some(password))
}

async fn insert_super_admin(
    core: &Core,
    tx: &mut Tx,
    email: &str,
    name: &str,
    password_hash: &str,
) -> Result<()> {
    let (id, now) = (core.random.id(tx.now), tx.now);
    let row = NewAdmin { id, email, name, password_hash, now };
    let admin = admins::insert(tx, row).await?.ok_or(Code::EmailTaken)?;
    let role = roles::shipped(tx, SUPER_ADMIN).await?;
    roles::give(tx, id, &[role.id], now).await?;
    let entry = Entry::new(audit::Action::AdminCreated, Subject::Admin(id)).made(&admin);
    audit::record(core, tx, entry).await
}

/// All admins, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(core: &Core) -> Result<Vec<Member>> {
    Ok(admins::all(&mut *core.db.conn().await?).await?)
}

/// Gives an admin a new password, the given one or a random one, ends their sessions, and
/// returns the password.
///
/// # Errors
/// [`Code::NotFound`], or [`Code::ValidationFailed`] for a weak password.
pub async fn reset_password(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: Option<SecretString>,
) -> Result<SecretString> {
    let password = password.unwrap_or_else(|| core.random.password().into());
    core.passwords.policy.check("password", &password, &[email.as_str()], false)?;
    let hash = core.passwords.hash(&password).await?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let admin = admins::lock_by_email(&mut tx, email.as_str()).await?.ok_or(Code::NotFound)?;
    admins::replace_password(&mut tx, admin.id, &admin.password_hash, &hash, now).await?;
    core.staff_sessions.end_all(core, &mut tx, admin.id, None).await?;
    let entry = Entry::new(audit::Action::AdminPasswordReset, Subject::Admin(admin.id));
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(password)
}
