//! Accounts of the client API: registration, recovery, profile.
//!
//! No answer tells whether an address has an account (ASVS 5.0, 6.3.8).

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Code, Core, Expected, FieldError, Result, ServiceError,
    audit::{self, Entry, Subject},
    email_address::EmailAddress,
    events::{PasswordChanged, UserRegistered, UserVerified},
    jobs::Job,
    limits::{Action, Who},
    mailed_answers::{AnswerRegistration, SendPasswordReset, SendVerificationCode},
    one_time_codes, posts, second_factor,
    sign_in::{Device, lock_by_password},
    tallies,
};
use crate::db::{
    Origin,
    sessions::{Account, Realm},
    tallies::Metric,
    user_one_time_codes::{self, Purpose},
    users::{self, NewUser, ProfileChanges, User, UserStatus},
};

/// What a new account needs.
pub struct Registration {
    pub email: EmailAddress,
    pub password: SecretString,
    pub name: Option<String>,
    /// The language to write in.
    pub locale: Option<String>,
}

/// Registers an address, to which a code is mailed then. The owner of a known address gets a mail
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
    let locale = new.locale.as_deref();
    let row = || NewUser { id, email, name, locale, password_hash: &hash, now };
    let mut user_id = Some(id);
    if users::insert(&mut tx, row()).await?.is_some() {
        core.jobs.publish(core, &mut tx, &UserRegistered { user_id: id }).await?;
        tallies::count(core, &mut tx, Metric::Registrations);
    } else {
        let known = users::lock_by_email(&mut tx, email).await?;
        user_id = known.as_ref().map(|user| user.id);
        if let Some(user) = known.filter(|user| user.email_verified_at.is_none()) {
            users::replace_unverified(&mut tx, user.id, row()).await?;
        }
    }
    core.jobs.enqueue(core, &mut tx, &AnswerRegistration { user_id }).await?;
    Ok(tx.commit().await?)
}

/// Mails a new code, if the address is registered and not verified.
///
/// # Errors
/// [`Code::TooManyRequests`]
pub async fn resend_code(core: &Core, origin: &Origin, email: &EmailAddress) -> Result<()> {
    ask_for_mail(core, origin, email, |user_id| SendVerificationCode { user_id }).await
}

/// Mails a token to choose a new password with, if the address has an account.
///
/// # Errors
/// [`Code::TooManyRequests`]
pub async fn forgot_password(core: &Core, origin: &Origin, email: &EmailAddress) -> Result<()> {
    ask_for_mail(core, origin, email, |user_id| SendPasswordReset { user_id }).await
}

async fn ask_for_mail<J: Job>(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    job: impl FnOnce(Option<Uuid>) -> J,
) -> Result<()> {
    let who = Who::Address(Realm::Client, email.as_str());
    core.limits.check(origin, Action::Recovery, who).await?;
    let mut tx = core.db.begin(origin).await?;
    let user = users::find_by_email(&mut tx, email.as_str()).await?;
    core.jobs.enqueue(core, &mut tx, &job(user.map(|user| user.id))).await?;
    Ok(tx.commit().await?)
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
    if right.is_some() {
        let now = tx.now;
        users::set_email_verified(&mut tx, user.id, now).await?;
        if user.email_verified_at.is_none() {
            core.jobs.publish(core, &mut tx, &UserVerified { user_id: user.id }).await?;
        }
    }
    tx.commit().await?;
    right.map(|_| ()).ok_or_else(|| Code::InvalidCode.into())
}

/// The account of somebody who is signed in: one statement.
///
/// # Errors
/// [`Code::SessionEnded`] when it is gone, or [`Code::AccountSuspended`].
pub async fn current(core: &Core, id: Uuid) -> Result<User> {
    let user = users::find(&mut *core.db.conn().await?, id).await?.ok_or(Code::SessionEnded)?;
    if user.status != UserStatus::Active {
        return Err(Code::AccountSuspended.into());
    }
    Ok(user)
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
    let right = one_time_codes::consume(core, &mut tx, id, purpose, token).await?;
    right.ok_or(Code::InvalidResetToken)?;
    let name = user.name.as_deref().unwrap_or_default();
    let has_factor = second_factor::is_enabled(&mut tx, Account::User(id)).await?;
    policy.check("new_password", password, &[&user.email, name], has_factor)?;
    users::set_password(&mut tx, id, &hash, policy.needs_factor(password), now).await?;
    users::set_email_verified(&mut tx, id, now).await?;
    core.client_sessions.end_all(core, &mut tx, id, None).await?;
    if user.email_verified_at.is_none() {
        core.jobs.publish(core, &mut tx, &UserVerified { user_id: id }).await?;
    }
    let entry = Entry::new(audit::Action::UserPasswordReset, Subject::User(id));
    audit::record(core, &mut tx, entry).await?;
    core.jobs.publish(core, &mut tx, &PasswordChanged { user_id: id }).await?;
    Ok(tx.commit().await?)
}

/// Changes the user's own password and ends their sessions but this one.
///
/// # Errors
/// [`Code::InvalidCredentials`] when the current password is wrong, [`Code::ValidationFailed`] for a weak new
/// one, or [`Code::TooManyRequests`].
pub async fn change_password(
    core: &Core,
    origin: &Origin,
    user: &User,
    session_id: Uuid,
    current: &SecretString,
    new: &SecretString,
) -> Result<()> {
    core.limits.check(origin, Action::Password, Who::Session(session_id)).await?;
    if !core.passwords.verify(current, Some(&user.password_hash)).await? {
        return Err(Code::InvalidCredentials.into());
    }
    let name = user.name.as_deref().unwrap_or_default();
    let policy = core.passwords.policy;
    let check = |has_factor| policy.check("new_password", new, &[&user.email, name], has_factor);
    check(second_factor::is_enabled(&mut *core.db.conn().await?, Account::User(user.id)).await?)?;
    let hash = core.passwords.hash(new).await?;
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (user.id, tx.now);
    let present = users::lock(&mut tx, id).await?;
    // Hashing takes long enough for the password to change meanwhile.
    if present.is_none_or(|present| present.password_hash != user.password_hash) {
        return Err(Code::InvalidCredentials.into());
    }
    let needs_factor = policy.needs_factor(new);
    if needs_factor {
        check(second_factor::is_enabled(&mut tx, Account::User(id)).await?)?;
    }
    users::set_password(&mut tx, id, &hash, needs_factor, now).await?;
    core.client_sessions.end_all(core, &mut tx, id, Some(session_id)).await?;
    user_one_time_codes::delete_all(&mut tx, id).await?;
    let entry = Entry::new(audit::Action::UserPasswordChanged, Subject::User(id));
    audit::record(core, &mut tx, entry).await?;
    core.jobs.publish(core, &mut tx, &PasswordChanged { user_id: id }).await?;
    Ok(tx.commit().await?)
}

/// Changes a user's profile.
///
/// # Errors
/// [`Code::PreconditionFailed`], or [`Code::ValidationFailed`] for a time zone that isn't one.
pub async fn update_profile(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<User>,
    changes: ProfileChanges,
) -> Result<User> {
    if let Some(Some(name)) = &changes.time_zone
        && name.parse::<Tz>().is_err()
    {
        let fault = FieldError::new("time_zone", "time_zone", "must be the name of a time zone");
        return Err(ServiceError::invalid(vec![fault]));
    }
    let mut tx = core.db.begin(origin).await?;
    let now: DateTime<Utc> = tx.now;
    let present = users::lock(&mut tx, id).await?.ok_or(Code::NotFound)?;
    expected.check(&present)?;
    let user = users::update_profile(&mut tx, id, changes, now).await?;
    let entry = Entry::new(audit::Action::UserUpdated, Subject::User(id)).changed(&present, &user);
    audit::record(core, &mut tx, entry).await?;
    if user.name != present.name {
        posts::tell_of_authors(core, &mut tx, &[id]).await?;
    }
    tx.commit().await?;
    Ok(user)
}
