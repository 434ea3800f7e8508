//! Signing in to the backoffice: the password, the second factor where there is one, then a session. Where a second
//! factor is a must (`staff.require_second_factor`), a session without one opens nothing but its setting up: the
//! guards see to it (`api/auth.rs`), because it may be removed while the session goes on.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Entry, Subject},
    devices,
    email_address::EmailAddress,
    limits::{Action, Who},
    second_factor,
    sign_in::{self, Outcome, Proof, SignedIn, answer, challenge},
    tokens::TokenKind,
};
use crate::db::{
    Actor, Origin, Tx,
    admins::{self, Admin, AdminStatus},
    login_challenges as challenges,
    sessions::{Account, Realm},
};

/// Checks a password, and opens a session unless there is a second factor. `device_token` is what the last sign-in
/// from there gave.
///
/// # Errors
/// [`Code::InvalidCredentials`]; with the right password [`Code::AccountSuspended`]; [`Code::TooManyRequests`].
pub async fn login(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    device_token: Option<&SecretString>,
) -> Result<Outcome> {
    let Checked { mut tx, admin, device_id } =
        check_password(core, origin, email, password, device_token).await?;
    let account = Account::Admin(admin.id);
    let outcome = if second_factor::is_enabled(&mut tx, account).await? {
        Outcome::Challenged(challenge(core, &mut tx, account, device_id, None).await?)
    } else {
        Outcome::SignedIn(open(core, &mut tx, admin.id, device_id).await?)
    };
    tx.commit().await?;
    Ok(outcome)
}

/// Opens the session of a sign-in that waited for the second factor: a code of it, or a recovery
/// code.
///
/// # Errors
/// [`Code::InvalidSecondFactor`], [`Code::ChallengeEnded`], [`Code::AccountSuspended`] or
/// [`Code::TooManyRequests`].
pub async fn complete(
    core: &Core,
    origin: &Origin,
    challenge_token: &str,
    code: &str,
) -> Result<SignedIn> {
    let tokens = &core.staff_sessions.tokens;
    let claims = tokens.verify(TokenKind::Challenge, challenge_token, core.clock.now());
    let claims = claims.map_err(|_| Code::ChallengeEnded)?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let admin = admins::lock(&mut tx, claims.sub).await?.ok_or(Code::ChallengeEnded)?;
    let account = Account::Admin(admin.id);
    let challenge = challenges::lock(&mut tx, account, claims.sid, now).await?;
    let challenge = challenge.ok_or(Code::ChallengeEnded)?;
    if admin.status != AdminStatus::Active {
        return Err(Code::AccountSuspended.into());
    }
    let answered = answer(core, tx, account, &challenge, code).await;
    if matches!(&answered, Err(error) if error.code == Code::InvalidSecondFactor) {
        refuse(core, origin, Some(admin.id)).await?;
    }
    let mut tx = answered?;
    let signed_in = open(core, &mut tx, admin.id, challenge.device_id).await?;
    tx.commit().await?;
    Ok(signed_in)
}

async fn open(
    core: &Core,
    tx: &mut Tx,
    admin_id: Uuid,
    known_device: Option<Uuid>,
) -> Result<SignedIn> {
    let tokens = core.staff_sessions.open(tx, core.random, admin_id, None).await?;
    let device_token = note(core, tx, admin_id, tokens.session_id, known_device).await?;
    Ok(SignedIn { tokens, device_token })
}

/// Notes and records a sign-in, and tells what is to be sent with the next one from this device.
pub(super) async fn note(
    core: &Core,
    tx: &mut Tx,
    admin_id: Uuid,
    session_id: Uuid,
    known_device: Option<Uuid>,
) -> Result<String> {
    let now = tx.now;
    admins::set_last_login(tx, admin_id, now).await?;
    let entry = Entry::new(audit::Action::AdminSignedIn, Subject::Admin(admin_id));
    audit::record(core, tx, entry.by(Actor::Admin(admin_id), Some(session_id))).await?;
    let device_id = known_device.unwrap_or_else(|| core.random.id(now));
    devices::token(&core.staff_sessions.tokens, core.random, admin_id, device_id, now)
}

/// Records a try, of an account or of none, that is refused.
pub(super) async fn refuse(core: &Core, origin: &Origin, admin_id: Option<Uuid>) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let entry = Entry::new(audit::Action::AdminSignInFailed, admin_id.map(Subject::Admin));
    audit::record(core, &mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// Proves once more who is signed in; what doesn't prove it is recorded.
///
/// # Errors
/// As [`sign_in::step_up`].
pub async fn step_up(
    core: &Core,
    origin: &Origin,
    admin: &Admin,
    session_id: Uuid,
    proof: &Proof,
) -> Result<DateTime<Utc>> {
    let (account, hash) = (Account::Admin(admin.id), &admin.password_hash);
    let proved = sign_in::step_up(core, origin, account, hash, session_id, proof).await;
    if let Err(error) = &proved
        && let Code::InvalidCredentials | Code::InvalidSecondFactor = error.code
    {
        let mut tx = core.db.begin(origin).await?;
        let entry = Entry::new(audit::Action::AdminStepUpFailed, Subject::Admin(admin.id));
        audit::record(core, &mut tx, entry).await?;
        tx.commit().await?;
    }
    proved
}

/// Whose password it is, locked, and the device if it has signed in before.
pub(super) struct Checked {
    pub tx: Tx,
    pub admin: Admin,
    pub device_id: Option<Uuid>,
}

/// Tells whose password it is.
///
/// # Errors
/// As [`login`].
pub(super) async fn check_password(
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
    let Some(admin) = known.filter(|_| right) else {
        refuse(core, origin, known_id).await?;
        return Err(Code::InvalidCredentials.into());
    };
    let renewed = core.passwords.renewed(password, &admin.password_hash).await?;
    let mut tx = core.db.begin(origin).await?;
    // Hashing takes long enough for the account to change meanwhile.
    let present = admins::lock(&mut tx, admin.id).await?;
    let present = present.filter(|present| present.password_hash == admin.password_hash);
    let Some(admin) = present else {
        drop(tx);
        refuse(core, origin, known_id).await?;
        return Err(Code::InvalidCredentials.into());
    };
    if admin.status != AdminStatus::Active {
        return Err(Code::AccountSuspended.into());
    }
    if let Some(hash) = renewed {
        admins::renew_hash(&mut tx, admin.id, &hash).await?;
    }
    Ok(Checked { tx, admin, device_id: device.map(|(_, device_id)| device_id) })
}
