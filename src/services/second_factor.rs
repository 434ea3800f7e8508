//! The second factor of users: one-time codes by time (TOTP, RFC 6238), and recovery codes for who
//! has lost the device (ASVS 5.0, 6.5; look-up secrets in NIST SP 800-63B-4, 3.1.2).

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use qrcode::{QrCode, render::svg};
use ring::hmac;
use secrecy::SecretString;
use totp_rs::Totp;
use uuid::Uuid;

use super::{
    Code, Core, Result, ServiceError,
    audit::{self, Entry, Subject},
    events::{FactorChange, SecondFactorChanged},
    limits::{Action, Who},
    sealing::SealingKey,
    tokens::derive_key,
};
use crate::db::{
    Conn, Origin, Tx, user_recovery_codes, user_totp,
    users::{self, User},
};

/// How long a new secret waits for its first code.
const ENROLMENT_LIFE: TimeDelta = TimeDelta::minutes(15);
/// The length of a secret in bytes (RFC 4226, 4: 160 bits are recommended).
const SECRET_LENGTH: usize = 20;
/// How many recovery codes there are.
pub const RECOVERY_CODES: usize = 10;

/// The keys of all second factors, and what authenticator apps show.
pub struct SecondFactors {
    sealing: SealingKey,
    recovery: hmac::Key,
    /// The product's name.
    issuer: String,
}

impl SecondFactors {
    /// Derives the keys from the secret of what is stored.
    #[must_use]
    pub fn new(secret: &SecretString, product: &str) -> Self {
        let key = |kind| derive_key(secret, "twofold-client", kind);
        Self {
            sealing: SealingKey::new(&key("second factors")),
            recovery: hmac::Key::new(hmac::HMAC_SHA256, &key("recovery codes")),
            // The label of an otpauth URI has one colon.
            issuer: product.replace(':', " "),
        }
    }

    /// A factor of six digits each 30 seconds, taken a step early or late (RFC 6238, 5.2).
    fn totp(&self, secret: Vec<u8>, account: &str) -> Result<Totp> {
        totp_rs::Builder::new()
            .with_secret(secret)
            .with_skew(1)
            .with_issuer(Some(self.issuer.as_str()))
            .with_account_name(account.replace(':', " "))
            .build()
            .map_err(|error| ServiceError::internal(error.to_string()))
    }

    fn hash(&self, recovery_code: &str) -> Vec<u8> {
        hmac::sign(&self.recovery, recovery_code.as_bytes()).as_ref().to_vec()
    }
}

/// What an authenticator app needs.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// In base 32 (RFC 4648), to be typed.
    pub secret: String,
    /// The same as an `otpauth://` URI.
    pub uri: String,
    /// That URI as a QR code: an SVG picture in a `data:` URI.
    pub qr_code: String,
    /// When it is too late for the first code.
    pub expires_at: DateTime<Utc>,
}

/// A user's second factor as the user sees it.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// Since when it is asked for; `None`: there is none.
    pub enabled_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
}

/// What a user has.
///
/// # Errors
/// When the database fails.
pub async fn status(core: &Core, user_id: Uuid) -> Result<Status> {
    let mut conn = core.db.conn().await?;
    let totp = user_totp::find(&mut conn, user_id).await?;
    let recovery_codes = user_recovery_codes::count(&mut conn, user_id).await?;
    Ok(Status { enabled_at: totp.and_then(|totp| totp.confirmed_at), recovery_codes })
}

/// Makes a new secret, which counts once a code of it was confirmed.
///
/// # Errors
/// [`Code::SecondFactorEnabled`].
pub async fn begin(core: &Core, origin: &Origin, user: &User) -> Result<Enrolment> {
    let factors = &core.second_factors;
    let secret = core.random.bytes::<SECRET_LENGTH>();
    let totp = factors.totp(secret.to_vec(), &user.email)?;
    let sealed = factors.sealing.seal(core.random.bytes(), user.id.as_bytes(), &secret)?;
    let uri = totp.to_url().map_err(|error| ServiceError::internal(error.to_string()))?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    if !user_totp::begin(&mut tx, user.id, &sealed, now).await? {
        return Err(Code::SecondFactorEnabled.into());
    }
    tx.commit().await?;
    let (secret, qr_code) = (totp.secret().to_base32(), picture(&uri)?);
    Ok(Enrolment { secret, uri, qr_code, expires_at: now + ENROLMENT_LIFE })
}

fn picture(text: &str) -> Result<String> {
    let code = QrCode::new(text).map_err(ServiceError::internal)?;
    let picture = code.render::<svg::Color<'_>>().min_dimensions(256, 256).build();
    Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture)))
}

/// From now on the factor is asked for; returns the recovery codes, which are shown this once.
///
/// # Errors
/// [`Code::InvalidSecondFactor`], [`Code::SecondFactorEnabled`], [`Code::TooManyRequests`], or
/// [`Code::SecondFactorNotEnabled`] when no secret waits for it.
pub async fn confirm(
    core: &Core,
    origin: &Origin,
    user_id: Uuid,
    session_id: Uuid,
    code: &str,
) -> Result<Vec<String>> {
    core.limits.check(origin, Action::Code, Who::Session(session_id)).await?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let found = user_totp::find(&mut tx, user_id).await?.ok_or(Code::SecondFactorNotEnabled)?;
    if found.confirmed_at.is_some() {
        return Err(Code::SecondFactorEnabled.into());
    }
    if now - found.created_at > ENROLMENT_LIFE {
        return Err(Code::SecondFactorNotEnabled.into());
    }
    if !use_totp(core, &mut tx, user_id, found, code).await? {
        return Err(Code::InvalidSecondFactor.into());
    }
    user_totp::confirm(&mut tx, user_id, now).await?;
    let codes = replace_recovery_codes(core, &mut tx, user_id).await?;
    tell(core, &mut tx, user_id, FactorChange::Enabled).await?;
    tx.commit().await?;
    Ok(codes)
}

/// Removes the factor and its recovery codes.
///
/// # Errors
/// [`Code::SecondFactorNotEnabled`], or [`Code::PasswordNeedsFactor`].
pub async fn disable(core: &Core, origin: &Origin, user_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let user = users::lock(&mut tx, user_id).await?.ok_or(Code::SessionEnded)?;
    require(&mut tx, user_id).await?;
    if user.password_needs_factor {
        return Err(Code::PasswordNeedsFactor.into());
    }
    user_totp::delete(&mut tx, user_id).await?;
    user_recovery_codes::delete(&mut tx, user_id).await?;
    tell(core, &mut tx, user_id, FactorChange::Disabled).await?;
    Ok(tx.commit().await?)
}

/// Makes new recovery codes in place of all others, and returns them: they are shown this once.
///
/// # Errors
/// [`Code::SecondFactorNotEnabled`].
pub async fn renew_recovery_codes(
    core: &Core,
    origin: &Origin,
    user_id: Uuid,
) -> Result<Vec<String>> {
    let mut tx = core.db.begin(origin).await?;
    require(&mut tx, user_id).await?;
    let codes = replace_recovery_codes(core, &mut tx, user_id).await?;
    tell(core, &mut tx, user_id, FactorChange::RecoveryCodesRenewed).await?;
    tx.commit().await?;
    Ok(codes)
}

async fn tell(core: &Core, tx: &mut Tx, user_id: Uuid, change: FactorChange) -> Result<()> {
    let action = match change {
        FactorChange::Enabled => audit::Action::UserFactorEnabled,
        FactorChange::Disabled => audit::Action::UserFactorDisabled,
        FactorChange::RecoveryCodesRenewed => audit::Action::UserRecoveryCodesRenewed,
    };
    audit::record(core, tx, Entry::new(action, Subject::User(user_id))).await?;
    core.jobs.publish(core, tx, &SecondFactorChanged { user_id, change }).await
}

async fn require(tx: &mut Tx, user_id: Uuid) -> Result<()> {
    if is_enabled(tx, user_id).await? { Ok(()) } else { Err(Code::SecondFactorNotEnabled.into()) }
}

async fn replace_recovery_codes(core: &Core, tx: &mut Tx, user_id: Uuid) -> Result<Vec<String>> {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| core.random.recovery_code()).collect();
    let hashes = codes.iter().map(|code| core.second_factors.hash(&plain(code))).collect();
    let now = tx.now;
    user_recovery_codes::replace(tx, user_id, hashes, now).await?;
    Ok(codes)
}

/// Whether a user's sign-in needs a second factor.
pub(super) async fn is_enabled(conn: &mut Conn, user_id: Uuid) -> Result<bool> {
    let found = user_totp::find(conn, user_id).await?;
    Ok(found.is_some_and(|totp| totp.confirmed_at.is_some()))
}

/// Uses a code of the factor up, or a recovery code; `false` for any other, and where there is no
/// factor.
pub(super) async fn consume(core: &Core, tx: &mut Tx, user_id: Uuid, code: &str) -> Result<bool> {
    let found = user_totp::find(tx, user_id).await?;
    let Some(totp) = found.filter(|totp| totp.confirmed_at.is_some()) else { return Ok(false) };
    if code.len() == 6 {
        return use_totp(core, tx, user_id, totp, code).await;
    }
    let hash = core.second_factors.hash(&plain(code));
    Ok(user_recovery_codes::consume(tx, user_id, &hash).await?)
}

async fn use_totp(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    found: user_totp::Totp,
    code: &str,
) -> Result<bool> {
    let factors = &core.second_factors;
    let secret = factors.sealing.open(user_id.as_bytes(), found.sealed_secret);
    let secret = secret.ok_or_else(|| {
        ServiceError::internal(
            "a second factor was sealed under another secret: see auth.data_secret",
        )
    })?;
    let now = u64::try_from(tx.now.timestamp()).map_err(ServiceError::internal)?;
    let Some(step) = factors.totp(secret, "")?.check(code, now) else { return Ok(false) };
    let (step, now) = (i64::try_from(step).map_err(ServiceError::internal)?, tx.now);
    Ok(user_totp::use_step(tx, user_id, step, now).await?)
}

/// A recovery code as people may type it.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
