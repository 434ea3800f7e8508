//! How staff come to another password: by a token that is mailed, which they ask for themselves, or are sent by
//! staff with power over them. No answer tells whether an address has an account.

use minijinja::context;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Code, Core, Expected, Result,
    audit::{self, Entry, Subject},
    email_address::EmailAddress,
    jobs::Job,
    limits::{Action, Who},
    mails::{DEFAULT_LOCALE, Request, Template},
    one_time_codes::TOKEN_LIFE,
    permissions::Permissions,
    second_factor, staff_accounts, staff_notices,
};
use crate::db::{
    Actor, Origin, Tx, admin_password_resets as resets,
    admins::{self, AdminStatus},
    mails,
    sessions::{Account, Realm},
};

/// Mails the token with which a member of the staff can choose another password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendStaffPasswordReset {
    /// `None` where the address has no account.
    pub admin_id: Option<Uuid>,
}

impl Job for SendStaffPasswordReset {
    const KIND: &'static str = "admin.send_password_reset";
    const QUEUE: &'static str = "mail";
}

/// Mails a token, if the address has an account. The request only stores a job, whether or not there is one, so that
/// the answer takes as long.
///
/// # Errors
/// [`Code::TooManyRequests`]
pub async fn forgot_password(core: &Core, origin: &Origin, email: &EmailAddress) -> Result<()> {
    let who = Who::Address(Realm::Backoffice, email.as_str());
    core.limits.check(origin, Action::Recovery, who).await?;
    let mut tx = core.db.begin(origin).await?;
    let admin = admins::find_by_email(&mut tx, email.as_str()).await?;
    let job = SendStaffPasswordReset { admin_id: admin.map(|admin| admin.id) };
    core.jobs.enqueue(core, &mut tx, &job).await?;
    Ok(tx.commit().await?)
}

/// Mails a new token to a member of the staff who may sign in. Done again with the same `id`, it has one effect.
///
/// # Errors
/// When the database fails.
pub async fn send(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    job: &SendStaffPasswordReset,
) -> Result<()> {
    let Some(admin_id) = job.admin_id else { return Ok(()) };
    let mut tx = core.db.begin(origin).await?;
    let admin = admins::lock(&mut tx, admin_id).await?;
    let admin = admin.filter(|admin| admin.status == AdminStatus::Active);
    if let Some(admin) = admin
        && mails::find(&mut tx, id).await?.is_none()
    {
        let (token, now) = (core.random.token(), tx.now);
        let hash = core.code_key.hash(&token);
        resets::replace(&mut tx, admin_id, &hash, now + TOKEN_LIFE, now).await?;
        let request = Request {
            recipient: &admin.email,
            user_id: None,
            template: Template::ResetPassword,
            locale: DEFAULT_LOCALE,
            values: context! { token, minutes => TOKEN_LIFE.num_minutes() },
        };
        core.mails.queue_once(core, &mut tx, id, request).await?;
    }
    Ok(tx.commit().await?)
}

/// Sets a new password and ends all sessions. It does not sign in, and takes no second factor away.
///
/// # Errors
/// [`Code::InvalidResetToken`], [`Code::TooManyRequests`], or [`Code::ValidationFailed`] for a weak password,
/// which leaves the token usable.
pub async fn reset_password(
    core: &Core,
    origin: &Origin,
    token: &str,
    password: &SecretString,
) -> Result<()> {
    // Before anything is hashed, what no account may have.
    let policy = core.passwords.policy;
    policy.check("new_password", password, &[], false)?;
    core.limits.check(origin, Action::Recovery, Who::Nobody).await?;
    let hash = core.passwords.hash(password).await?;
    let mut tx = core.db.begin(origin).await?;
    let (now, token_hash) = (tx.now, core.code_key.hash(token));
    let id = resets::owner(&mut tx, &token_hash, now).await?.ok_or(Code::InvalidResetToken)?;
    // The admin first, as everywhere: the other way round two requests could wait for each other.
    let admin = admins::lock(&mut tx, id).await?.ok_or(Code::InvalidResetToken)?;
    if !resets::consume(&mut tx, id, &token_hash, now).await? {
        return Err(Code::InvalidResetToken.into());
    }
    policy.check("new_password", password, &[&admin.email, &admin.name], false)?;
    admins::replace_password(&mut tx, id, &admin.password_hash, &hash, now).await?;
    core.staff_sessions.end_all(core, &mut tx, id, None).await?;
    let entry = Entry::new(audit::Action::AdminPasswordReset, Subject::Admin(id));
    audit::record(core, &mut tx, entry.by(Actor::Admin(id), None)).await?;
    staff_notices::send(core, &mut tx, id, Template::PasswordChanged).await?;
    Ok(tx.commit().await?)
}

/// Makes a password useless, ends all sessions, and mails a token to choose another one with. `own` is what the
/// caller may do.
///
/// # Errors
/// [`Code::NotFound`], [`Code::OwnAccount`], or [`Code::PermissionDenied`] about who may do more.
pub async fn force_password_reset(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    id: Uuid,
) -> Result<()> {
    // Of a password that nobody knows; before the transaction, for it takes time.
    let hash = core.passwords.hash(&SecretString::from(core.random.password())).await?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let (present, _) = staff_accounts::lock_other(&mut tx, own, id, Expected::anything()).await?;
    admins::replace_password(&mut tx, id, &present.password_hash, &hash, now).await?;
    resets::delete(&mut tx, id).await?;
    core.jobs.enqueue(core, &mut tx, &SendStaffPasswordReset { admin_id: Some(id) }).await?;
    end_sessions_by(core, &mut tx, id, audit::Action::AdminPasswordResetForced).await?;
    Ok(tx.commit().await?)
}

/// Removes the second factor of somebody who has lost it, ends all sessions, and tells them. `own` is what the caller
/// may do.
///
/// # Errors
/// [`Code::NotFound`], [`Code::OwnAccount`], [`Code::PermissionDenied`] about who may do more, or
/// [`Code::SecondFactorNotEnabled`].
pub async fn remove_second_factor(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    id: Uuid,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    staff_accounts::lock_other(&mut tx, own, id, Expected::anything()).await?;
    second_factor::remove(core, &mut tx, Account::Admin(id)).await?;
    core.staff_sessions.end_all(core, &mut tx, id, None).await?;
    Ok(tx.commit().await?)
}

/// Ends all sessions of somebody. `own` is what the caller may do.
///
/// # Errors
/// [`Code::NotFound`], [`Code::OwnAccount`], or [`Code::PermissionDenied`] about who may do more.
pub async fn end_sessions(core: &Core, origin: &Origin, own: Permissions, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    staff_accounts::lock_other(&mut tx, own, id, Expected::anything()).await?;
    end_sessions_by(core, &mut tx, id, audit::Action::AdminSessionsEnded).await?;
    Ok(tx.commit().await?)
}

async fn end_sessions_by(core: &Core, tx: &mut Tx, id: Uuid, action: audit::Action) -> Result<()> {
    core.staff_sessions.end_all(core, tx, id, None).await?;
    audit::record(core, tx, Entry::new(action, Subject::Admin(id))).await
}
