//! Accounts of the backoffice.

use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Code, Core, FieldError, Result, ServiceError,
    audit::{self, Entry, Subject},
    devices,
    email_address::EmailAddress,
    limits::{Action, Who},
    permissions::SUPER_ADMIN,
    sessions::TokenPair,
};
use crate::db::{
    Actor, Origin, Tx,
    admins::{self, Admin, AdminStatus, Member, NewAdmin},
    roles,
    sessions::Realm,
};

/// The address of the super-admin whom the first start makes.
pub const FIRST_EMAIL: &str = "admin@example.com";

/// A new session.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub tokens: TokenPair,
    /// To be sent with the next sign-in from this device.
    pub device_token: String,
}

/// Opens a session. `device_token` is what the last sign-in from there gave.
///
/// # Errors
/// [`Code::InvalidCredentials`]; with the right password [`Code::AccountSuspended`]; [`Code::TooManyRequests`].
pub async fn login(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    device_token: Option<&SecretString>,
) -> Result<SignedIn> {
    let checked = check_credentials(core, origin, email, password, device_token).await?;
    let Checked { mut tx, admin_id, device_token } = checked;
    let tokens = core.staff_sessions.open(&mut tx, core.random, admin_id, None).await?;
    record_sign_in(core, &mut tx, admin_id, tokens.session_id).await?;
    tx.commit().await?;
    Ok(SignedIn { tokens, device_token })
}

/// Records a new session.
pub(super) async fn record_sign_in(
    core: &Core,
    tx: &mut Tx,
    admin_id: Uuid,
    session_id: Uuid,
) -> Result<()> {
    let entry = Entry::new(audit::Action::AdminSignedIn, Subject::Admin(admin_id));
    audit::record(core, tx, entry.by(Actor::Admin(admin_id), Some(session_id))).await
}

/// Records a try, of an account or of none, and refuses it.
async fn refuse<T>(core: &Core, origin: &Origin, admin_id: Option<Uuid>) -> Result<T> {
    let mut tx = core.db.begin(origin).await?;
    let entry = Entry::new(audit::Action::AdminSignInFailed, admin_id.map(Subject::Admin));
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Err(Code::InvalidCredentials.into())
}

/// Whose credentials they are, in the transaction that is to open the session, and what tells their device
/// from now on.
pub(super) struct Checked {
    pub tx: Tx,
    pub admin_id: Uuid,
    pub device_token: String,
}

/// Tells whose credentials they are.
///
/// # Errors
/// As [`login`].
pub(super) async fn check_credentials(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    device_token: Option<&SecretString>,
) -> Result<Checked> {
    let tokens = &core.staff_sessions.tokens;
    let known = admins::find_by_email(&mut *core.db.conn().await?, email.as_str()).await?;
    let device_of = |admin: &Admin| {
        let device = devices::known_to(tokens, device_token, admin.id, core.clock.now())?;
        Some((admin.id, device))
    };
    let device = known.as_ref().and_then(device_of);
    let who = Who::on_device(Realm::Backoffice, email, device);
    core.limits.check(origin, Action::Password, who).await?;
    let stored = known.as_ref().map(|admin| admin.password_hash.as_str());
    let right = core.passwords.verify(password, stored).await?;
    let known_id = known.as_ref().map(|admin| admin.id);
    let Some(admin) = known.filter(|_| right) else { return refuse(core, origin, known_id).await };
    if admin.status != AdminStatus::Active {
        return Err(Code::AccountSuspended.into());
    }
    let renewed = core.passwords.renewed(password, &admin.password_hash).await?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    // Fails to match when the password was changed while this one was hashed.
    if !admins::set_last_login(&mut tx, admin.id, &admin.password_hash, now).await? {
        drop(tx);
        return refuse(core, origin, known_id).await;
    }
    if let Some(hash) = renewed {
        admins::renew_hash(&mut tx, admin.id, &hash).await?;
    }
    let device_id = device.map_or_else(|| core.random.id(now), |(_, device_id)| device_id);
    let device_token = devices::token(tokens, core.random, admin.id, device_id, now)?;
    Ok(Checked { tx, admin_id: admin.id, device_token })
}

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
    core.staff_sessions.end_all(&mut tx, admin.id, Some(session_id)).await?;
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
    core.staff_sessions.end_all(&mut tx, admin.id, None).await?;
    let entry = Entry::new(audit::Action::AdminPasswordReset, Subject::Admin(admin.id));
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(password)
}
