//! Accounts of the client API: registration, recovery, profile.
//!
//! No answer tells whether an address has an account (ASVS 5.0, 6.3.8).

use chrono::{DateTime, Utc};
use minijinja::{Value, context};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Code, Core, Expected, Result,
    email_address::EmailAddress,
    events::{PasswordChanged, PasswordResetRequested, UserRegistered, UserVerified},
    limits::{Action, Who},
    mails::{self, DEFAULT_LOCALE, Template},
    one_time_codes::{self, CODE_LIFE},
    second_factor,
    sign_in::{Device, lock_by_password},
};
use crate::db::{
    Origin, Tx,
    sessions::Realm,
    user_one_time_codes::Purpose,
    users::{self, NewUser, ProfileChanges, User, UserStatus},
};

/// What a new account needs.
pub struct Registration {
    pub email: EmailAddress,
    pub password: SecretString,
    pub name: Option<String>,
}

/// Registers an address and mails a code to it. The owner of a known address gets a mail
/// that says so instead; of an unverified one, the last registration counts.
///
/// # Errors
/// [`Code::ValidationFailed`] for a weak password, [`Code::TooManyRequests`].
pub async fn register(core: &Core, origin: &Origin, new: Registration) -> Result<()> {
    let email = new.email.as_str();
    let name = new.name.as_deref();
    let own = [email, name.unwrap_or_default()];
    core.passwords.policy.check("password", &new.password, &own, false)?;
    let who = Who::Address(Realm::Client, email);
    core.limits.check(origin, Action::Registration, who).await?;
    let hash = core.passwords.hash(&new.password).await?;
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let row = NewUser { id, email, name, password_hash: &hash, now };
    if let Some(user) = users::insert(&mut tx, row).await? {
        core.jobs.publish(core, &mut tx, &UserRegistered { user_id: id }).await?;
        send_verification_code(core, &mut tx, &user).await?;
    } else if let Some(user) = users::lock_by_email(&mut tx, email).await? {
        if user.email_verified_at.is_some() {
            send(core, &mut tx, email, Template::AlreadyRegistered, context! {}).await?;
        } else {
            users::replace_unverified(&mut tx, user.id, name, &hash, now).await?;
            send_verification_code(core, &mut tx, &user).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Mails a new code, if the address is registered and not verified.
///
/// # Errors
/// [`Code::TooManyRequests`]
pub async fn resend_code(core: &Core, origin: &Origin, email: &EmailAddress) -> Result<()> {
    let who = Who::Address(Realm::Client, email.as_str());
    core.limits.check(origin, Action::Recovery, who).await?;
    let mut tx = core.db.begin(origin).await?;
    let user = users::lock_by_email(&mut tx, email.as_str()).await?;
    if let Some(user) = user.filter(|user| user.email_verified_at.is_none()) {
        send_verification_code(core, &mut tx, &user).await?;
    }
    Ok(tx.commit().await?)
}

async fn send_verification_code(core: &Core, tx: &mut Tx, user: &User) -> Result<()> {
    let code = one_time_codes::issue_code(core, tx, user.id, Purpose::VerifyEmail).await?;
    let values = context! { code, minutes => CODE_LIFE.num_minutes() };
    send(core, tx, &user.email, Template::VerifyEmail, values).await
}

async fn send(core: &Core, tx: &mut Tx, to: &str, template: Template, values: Value) -> Result<()> {
    let request = mails::Request { recipient: to, template, locale: DEFAULT_LOCALE, values };
    core.mails.queue(core, tx, request).await
}

/// Marks an address as verified, for who registered it: anybody can register an address before its
/// owner verifies it, or once more, and the owner's code must not make that registration good.
///
/// # Errors
/// [`Code::InvalidCode`], also for an unknown address and for a password that isn't that of the last
/// registration; [`Code::TooManyRequests`].
pub async fn verify_email(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    code: &str,
) -> Result<()> {
    let device = &Device::default();
    let found = lock_by_password(core, origin, Action::Code, email, password, device).await?;
    let (mut tx, user) = found.ok_or(Code::InvalidCode)?;
    let right = one_time_codes::consume(core, &mut tx, user.id, Purpose::VerifyEmail, code).await?;
    if right {
        let now = tx.now;
        users::set_email_verified(&mut tx, user.id, now).await?;
        if user.email_verified_at.is_none() {
            core.jobs.publish(core, &mut tx, &UserVerified { user_id: user.id }).await?;
        }
    }
    tx.commit().await?;
    if right { Ok(()) } else { Err(Code::InvalidCode.into()) }
}

/// The account of somebody who is signed in: one statement.
///
/// # Errors
/// [`Code::SessionEnded`] when it is gone, or [`Code::AccountSuspended`].
pub async fn current(core: &Core, id: Uuid) -> Result<User> {
    let user = users::find(&mut *core.db.conn().await?, id).await?.ok_or(Code::SessionEnded)?;
    if user.status == UserStatus::Suspended {
        return Err(Code::AccountSuspended.into());
    }
    Ok(user)
}

/// Mails a token to choose a new password with, if the address has an account.
///
/// # Errors
/// [`Code::TooManyRequests`]
pub async fn forgot_password(core: &Core, origin: &Origin, email: &EmailAddress) -> Result<()> {
    let who = Who::Address(Realm::Client, email.as_str());
    core.limits.check(origin, Action::Recovery, who).await?;
    let mut tx = core.db.begin(origin).await?;
    let user = users::find_by_email(&mut tx, email.as_str()).await?;
    if let Some(user) = user.filter(|user| user.status == UserStatus::Active) {
        let event = PasswordResetRequested { user_id: user.id };
        core.jobs.publish(core, &mut tx, &event).await?;
    }
    Ok(tx.commit().await?)
}

/// Sets a new password and ends all sessions. It does not sign in. Who has the token has the
/// mailbox, so the address counts as verified.
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
    policy.check("new_password", password, &[], true)?;
    // Whose token it is nobody knows yet.
    core.limits.check(origin, Action::Recovery, Who::Nobody).await?;
    let hash = core.passwords.hash(password).await?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let purpose = Purpose::ResetPassword;
    let id = one_time_codes::owner(core, &mut tx, purpose, token).await?;
    let id = id.ok_or(Code::InvalidResetToken)?;
    // The user first, as everywhere: the other way round two requests could wait for each other.
    let user = users::lock(&mut tx, id).await?.ok_or(Code::InvalidResetToken)?;
    if !one_time_codes::consume(core, &mut tx, id, purpose, token).await? {
        return Err(Code::InvalidResetToken.into());
    }
    let name = user.name.as_deref().unwrap_or_default();
    let has_factor = second_factor::is_enabled(&mut tx, id).await?;
    policy.check("new_password", password, &[&user.email, name], has_factor)?;
    users::set_password(&mut tx, id, &hash, now).await?;
    users::set_email_verified(&mut tx, id, now).await?;
    core.client_sessions.end_all(&mut tx, id, None).await?;
    if user.email_verified_at.is_none() {
        core.jobs.publish(core, &mut tx, &UserVerified { user_id: id }).await?;
    }
    core.jobs.publish(core, &mut tx, &PasswordChanged { user_id: id }).await?;
    Ok(tx.commit().await?)
}

/// Changes the user's own profile.
///
/// # Errors
/// [`Code::PreconditionFailed`].
pub async fn update_profile(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    changes: ProfileChanges,
) -> Result<User> {
    let mut tx = core.db.begin(origin).await?;
    let now: DateTime<Utc> = tx.now;
    let present = users::lock(&mut tx, id).await?.ok_or(Code::NotFound)?;
    expected.check(&present)?;
    let user = users::update_profile(&mut tx, id, changes, now).await?;
    tx.commit().await?;
    Ok(user)
}
