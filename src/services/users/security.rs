//! What staff do about how a user signs in.

use secrecy::SecretString;
use uuid::Uuid;

use super::super::{
    Code, Core, Result,
    audit::{self, Action, Entry, Subject},
    cursors::{ListRequest, Listed},
    events::UserVerified,
    mailed_answers::{SendPasswordReset, SendVerificationCode},
    own_sessions, second_factor,
};
use crate::db::{
    Origin, Tx,
    sessions::Account,
    user_one_time_codes,
    user_sessions::{UserSession, UserSessionSort},
    users::{self, User},
};

/// Takes the address for verified, on the word of a member of the staff.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn verify(core: &Core, origin: &Origin, id: Uuid) -> Result<User> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let present = lock(&mut tx, id).await?;
    if present.email_verified_at.is_none() {
        users::set_email_verified(&mut tx, id, now).await?;
        core.jobs.publish(core, &mut tx, &UserVerified { user_id: id }).await?;
    }
    let user = lock(&mut tx, id).await?;
    let entry = Entry::new(Action::UserVerified, Subject::User(id)).changed(&present, &user);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(user)
}

/// One page of a user's sessions that have not ended: two statements.
///
/// # Errors
/// [`Code::NotFound`] for the user, or [`Code::ValidationFailed`] for a cursor of another list.
pub async fn sessions(
    core: &Core,
    id: Uuid,
    request: ListRequest<UserSessionSort>,
) -> Result<Listed<UserSession>> {
    super::get(core, id).await?;
    own_sessions::list(core, id, request).await
}

/// Ends all sessions of a user.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn end_sessions(core: &Core, origin: &Origin, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    lock(&mut tx, id).await?;
    core.client_sessions.end_all(core, &mut tx, id, None).await?;
    record(core, &mut tx, Action::UserSessionsEnded, id).await?;
    Ok(tx.commit().await?)
}

/// Makes the password useless, ends all sessions, and mails a token to choose another password with.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn force_password_reset(core: &Core, origin: &Origin, id: Uuid) -> Result<()> {
    // Before the transaction, for it takes time.
    let hash = unknown_password(core).await?;
    let mut tx = core.db.begin(origin).await?;
    let user = lock(&mut tx, id).await?;
    replace_password(core, &mut tx, &user, &hash).await?;
    Ok(tx.commit().await?)
}

/// Removes the second factor of somebody who has lost it, with its recovery codes, and ends all sessions. A password
/// that is too short to do without is made useless as well.
///
/// # Errors
/// [`Code::NotFound`], or [`Code::SecondFactorNotEnabled`].
pub async fn remove_second_factor(core: &Core, origin: &Origin, id: Uuid) -> Result<()> {
    let hash = unknown_password(core).await?;
    let mut tx = core.db.begin(origin).await?;
    let user = lock(&mut tx, id).await?;
    second_factor::remove(core, &mut tx, Account::User(id)).await?;
    if user.password_needs_factor {
        replace_password(core, &mut tx, &user, &hash).await?;
    } else {
        core.client_sessions.end_all(core, &mut tx, id, None).await?;
    }
    Ok(tx.commit().await?)
}

/// Mails another code to a user whose address isn't verified.
///
/// # Errors
/// [`Code::NotFound`], or [`Code::UserAlreadyVerified`].
pub async fn resend_code(core: &Core, origin: &Origin, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    if lock(&mut tx, id).await?.email_verified_at.is_some() {
        return Err(Code::UserAlreadyVerified.into());
    }
    core.jobs.enqueue(core, &mut tx, &SendVerificationCode { user_id: Some(id) }).await?;
    record(core, &mut tx, Action::UserCodeResent, id).await?;
    Ok(tx.commit().await?)
}

async fn record(core: &Core, tx: &mut Tx, action: Action, id: Uuid) -> Result<()> {
    audit::record(core, tx, Entry::new(action, Subject::User(id))).await
}

async fn lock(tx: &mut Tx, id: Uuid) -> Result<User> {
    Ok(users::lock(tx, id).await?.ok_or(Code::NotFound)?)
}

/// The hash of a password that nobody knows.
pub(super) async fn unknown_password(core: &Core) -> Result<String> {
    core.passwords.hash(&SecretString::from(core.random.password())).await
}

async fn replace_password(core: &Core, tx: &mut Tx, user: &User, hash: &str) -> Result<()> {
    let now = tx.now;
    users::set_password(tx, user.id, hash, false, now).await?;
    user_one_time_codes::delete_all(tx, user.id).await?;
    core.client_sessions.end_all(core, tx, user.id, None).await?;
    core.jobs.enqueue(core, tx, &SendPasswordReset { user_id: Some(user.id) }).await?;
    record(core, tx, Action::UserPasswordResetForced, user.id).await
}
