//! Signing in: the password, the second factor where there is one, then a session. And proving once
//! more who one is (step-up), before what would hurt most in wrong hands.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Code, Core, Result, devices,
    email_address::EmailAddress,
    events::NewDeviceSignedIn,
    limits::{Action, Who},
    second_factor,
    sessions::{RECENT, TokenPair},
    tallies,
    tokens::{Subject, TokenKind},
};
use crate::db::{
    Origin, Tx, admins,
    login_challenges::{self as challenges, LoginChallenge, NewChallenge},
    sessions::{self, Account, Realm},
    tallies::Metric,
    users::{self, User, UserStatus},
};

/// How long a sign-in waits for the second factor.
const CHALLENGE_LIFE: TimeDelta = TimeDelta::minutes(5);
/// How many wrong codes it takes.
const CHALLENGE_ATTEMPTS: i32 = 5;

/// What a sign-in says of the device that it comes from.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// What the app calls it.
    pub name: Option<String>,
    /// As the last sign-in from there gave it.
    pub token: Option<SecretString>,
}

impl Device {
    /// The device's identifier, if it has signed in to this account before.
    fn known_to(&self, core: &Core, user_id: Uuid) -> Option<Uuid> {
        let tokens = &core.client_sessions.tokens;
        devices::known_to(tokens, self.token.as_ref(), user_id, core.clock.now())
    }
}

/// How far a right password leads.
#[derive(Debug, Clone)]
pub enum Outcome {
    SignedIn(SignedIn),
    /// The second factor comes next.
    Challenged(Challenge),
}

/// A new session.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub tokens: TokenPair,
    /// To be sent with the next sign-in from this device.
    pub device_token: String,
}

/// A sign-in that waits for the second factor.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Opens [`complete`] and nothing else.
    pub token: String,
    /// Its life in seconds.
    pub expires_in: i64,
}

/// Checks a password, and opens a session unless there is a second factor.
///
/// # Errors
/// [`Code::InvalidCredentials`], also for an unverified address; with the right password of a
/// verified one [`Code::AccountSuspended`]; [`Code::TooManyRequests`].
pub async fn login(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    device: &Device,
) -> Result<Outcome> {
    counted(core, try_login(core, origin, email, password, device).await)
}

/// Counts a sign-in that was refused, whosever it was: there may be no such account. What was beyond the limits on
/// tries is none.
fn counted<T>(core: &Core, outcome: Result<T>) -> Result<T> {
    if let Err(error) = &outcome
        && let Code::InvalidCredentials | Code::InvalidSecondFactor | Code::AccountSuspended =
            error.code
    {
        core.tallies.count(Metric::FailedSignIns, core.clock.now());
    }
    outcome
}

async fn try_login(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    device: &Device,
) -> Result<Outcome> {
    let action = Action::Password;
    let found = lock_by_password(core, origin, action, email, password, device).await?;
    let (mut tx, user) = found
        .filter(|(_, user)| user.email_verified_at.is_some())
        .ok_or(Code::InvalidCredentials)?;
    if user.status != UserStatus::Active {
        return Err(Code::AccountSuspended.into());
    }
    let (device_id, device_name) = (device.known_to(core, user.id), device.name.as_deref());
    let outcome = if second_factor::is_enabled(&mut tx, Account::User(user.id)).await? {
        let account = Account::User(user.id);
        Outcome::Challenged(challenge(core, &mut tx, account, device_id, device_name).await?)
    } else {
        Outcome::SignedIn(open(core, &mut tx, &user, device_id, device_name).await?)
    };
    tx.commit().await?;
    Ok(outcome)
}

/// The account of this address if this is its password, locked; of any other, and of an unknown address,
/// nothing after the same time. Counts as a try of `action`.
///
/// # Errors
/// [`Code::TooManyRequests`], or when the database fails or too much waits for hashing.
pub(super) async fn lock_by_password(
    core: &Core,
    origin: &Origin,
    action: Action,
    email: &EmailAddress,
    password: &SecretString,
    device: &Device,
) -> Result<Option<(Tx, User)>> {
    let known = users::find_by_email(&mut *core.db.conn().await?, email.as_str()).await?;
    let device_of = |user: &User| device.known_to(core, user.id).map(|device| (user.id, device));
    let who = Who::on_device(Realm::Client, email, known.as_ref().and_then(device_of));
    core.limits.check(origin, action, who).await?;
    let stored = known.map(|user| user.password_hash);
    let right = core.passwords.verify(password, stored.as_deref()).await?;
    let Some(stored) = stored.filter(|_| right) else { return Ok(None) };
    let renewed = core.passwords.renewed(password, &stored).await?;
    let mut tx = core.db.begin(origin).await?;
    // Hashing takes long enough for the account to change meanwhile.
    let user = users::lock_by_email(&mut tx, email.as_str()).await?;
    let user = user.filter(|user| user.password_hash == stored);
    if let (Some(user), Some(hash)) = (&user, renewed) {
        users::renew_hash(&mut tx, user.id, &hash).await?;
    }
    Ok(user.map(|user| (tx, user)))
}

/// Has a sign-in whose password was right wait for the second factor.
///
/// # Errors
/// When the database fails.
pub(super) async fn challenge(
    core: &Core,
    tx: &mut Tx,
    account: Account,
    device_id: Option<Uuid>,
    device_name: Option<&str>,
) -> Result<Challenge> {
    let now = tx.now;
    let (id, expires_at) = (core.random.id(now), now + CHALLENGE_LIFE);
    let attempts = CHALLENGE_ATTEMPTS;
    let new = NewChallenge { id, account, attempts, device_id, device_name, expires_at, now };
    challenges::insert(tx, new).await?;
    let subject = Subject { account_id: account.id(), session_id: id };
    let tokens = &core.sessions(account.realm()).tokens;
    let token = tokens.sign(TokenKind::Challenge, subject, id, now, expires_at)?;
    Ok(Challenge { token, expires_in: CHALLENGE_LIFE.num_seconds() })
}

/// Uses up a challenge by a code. A wrong one is counted.
///
/// # Errors
/// [`Code::InvalidSecondFactor`] or [`Code::TooManyRequests`].
pub(super) async fn answer(
    core: &Core,
    mut tx: Tx,
    account: Account,
    challenge: &LoginChallenge,
    code: &str,
) -> Result<Tx> {
    // By account, not by challenge: who has the password gets as many of those as he likes.
    let who = match challenge.device_id {
        Some(device_id) => Who::Device { account_id: account.id(), device_id },
        None => Who::Account(account.id()),
    };
    let (origin, now) = (tx.origin.clone(), tx.now);
    core.limits.check(&origin, Action::Code, who).await?;
    if !second_factor::consume(core, &mut tx, account, code).await? {
        challenges::count_attempt(&mut tx, account, challenge.id, now).await?;
        tx.commit().await?;
        return Err(Code::InvalidSecondFactor.into());
    }
    challenges::delete(&mut tx, account, challenge.id).await?;
    Ok(tx)
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
    counted(core, try_complete(core, origin, challenge_token, code).await)
}

async fn try_complete(
    core: &Core,
    origin: &Origin,
    challenge_token: &str,
    code: &str,
) -> Result<SignedIn> {
    let tokens = &core.client_sessions.tokens;
    let claims = tokens.verify(TokenKind::Challenge, challenge_token, core.clock.now());
    let claims = claims.map_err(|_| Code::ChallengeEnded)?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    // The user first, as everywhere: the other way round two requests could wait for each other.
    let user = users::lock(&mut tx, claims.sub).await?.ok_or(Code::ChallengeEnded)?;
    let account = Account::User(user.id);
    let challenge = challenges::lock(&mut tx, account, claims.sid, now).await?;
    let challenge = challenge.ok_or(Code::ChallengeEnded)?;
    if user.status != UserStatus::Active {
        return Err(Code::AccountSuspended.into());
    }
    let mut tx = answer(core, tx, account, &challenge, code).await?;
    let name = challenge.device_name.as_deref();
    let signed_in = open(core, &mut tx, &user, challenge.device_id, name).await?;
    tx.commit().await?;
    Ok(signed_in)
}

async fn open(
    core: &Core,
    tx: &mut Tx,
    user: &User,
    known_device: Option<Uuid>,
    device_name: Option<&str>,
) -> Result<SignedIn> {
    let (now, sessions) = (tx.now, &core.client_sessions);
    let tokens = sessions.open(tx, core.random, user.id, device_name).await?;
    users::set_last_login(tx, user.id, now).await?;
    tallies::count_active(core, tx, user.id).await?;
    tallies::count(core, tx, Metric::SignIns);
    if known_device.is_none() && user.last_login_at.is_some() {
        let event = NewDeviceSignedIn { user_id: user.id, session_id: tokens.session_id };
        core.jobs.publish(core, tx, &event).await?;
    }
    let device_id = known_device.unwrap_or_else(|| core.random.id(now));
    let device_token = devices::token(&sessions.tokens, core.random, user.id, device_id, now)?;
    Ok(SignedIn { tokens, device_token })
}

/// What proves who one is.
#[derive(Debug, Clone)]
pub enum Proof {
    Password(SecretString),
    /// Of the second factor, or a recovery code.
    Code(String),
}

/// Proves once more who is signed in, whose password has this hash; returns until when that counts.
///
/// # Errors
/// [`Code::InvalidCredentials`] or [`Code::InvalidSecondFactor`]; [`Code::SecondFactorRequired`] for
/// a password where there is a second factor, because that may be what is to be removed;
/// [`Code::TooManyRequests`].
pub async fn step_up(
    core: &Core,
    origin: &Origin,
    account: Account,
    password_hash: &str,
    session_id: Uuid,
    proof: &Proof,
) -> Result<DateTime<Utc>> {
    let action = match proof {
        Proof::Password(_) => Action::Password,
        Proof::Code(_) => Action::Code,
    };
    core.limits.check(origin, action, Who::Session(session_id)).await?;
    if let Proof::Password(password) = proof
        && !core.passwords.verify(password, Some(password_hash)).await?
    {
        return Err(Code::InvalidCredentials.into());
    }
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let is_there = match account {
        Account::User(id) => users::lock(&mut tx, id).await?.is_some(),
        Account::Admin(id) => admins::lock(&mut tx, id).await?.is_some(),
    };
    if !is_there {
        return Err(Code::SessionEnded.into());
    }
    match proof {
        Proof::Password(_) if second_factor::is_enabled(&mut tx, account).await? => {
            return Err(Code::SecondFactorRequired.into());
        }
        Proof::Code(code) if !second_factor::consume(core, &mut tx, account, code).await? => {
            return Err(Code::InvalidSecondFactor.into());
        }
        Proof::Password(_) | Proof::Code(_) => {}
    }
    sessions::set_authenticated(&mut tx, account.realm(), session_id, now).await?;
    tx.commit().await?;
    Ok(now + RECENT)
}
