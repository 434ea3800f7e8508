//! The second factor of users and of staff: one-time codes by time (TOTP, RFC 6238), and recovery codes for who
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
    notices::Notice,
    sealing::SealingKey,
    staff_notices,
    tokens::derive_key,
};
use crate::db::{
    Conn, Origin, Tx, admins, recovery_codes,
    sessions::{Account, Realm},
    totp, users,
};

/// How long a new secret waits for its first code.
const ENROLMENT_LIFE: TimeDelta = TimeDelta::minutes(15);
/// The length of a secret in bytes (RFC 4226, 4: 160 bits are recommended).
const SECRET_LENGTH: usize = 20;
/// How many recovery codes there are.
pub const RECOVERY_CODES: usize = 10;

/// The keys of all second factors of a realm, and what authenticator apps show.
pub struct SecondFactors {
    sealing: SealingKey,
    recovery: hmac::Key,
    /// The product's name.
    issuer: String,
}

impl SecondFactors {
    /// Derives the keys from the secret of what is stored.
    #[must_use]
    pub fn new(realm: Realm, secret: &SecretString, product: &str) -> Self {
        let realm = match realm {
            Realm::Client => "twofold-client",
            Realm::Backoffice => "twofold-backoffice",
        };
        let key = |kind| derive_key(secret, realm, kind);
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

/// A second factor as its owner sees it.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// Since when it is asked for; `None`: there is none.
    pub enabled_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
}

/// What an account has.
///
/// # Errors
/// When the database fails.
pub async fn status(core: &Core, account: Account) -> Result<Status> {
    let mut conn = core.db.conn().await?;
    let found = totp::find(&mut conn, account).await?;
    let recovery_codes = recovery_codes::count(&mut conn, account).await?;
    Ok(Status { enabled_at: found.and_then(|totp| totp.confirmed_at), recovery_codes })
}

/// Makes a new secret, which counts once a code of it was confirmed.
///
/// # Errors
/// [`Code::SecondFactorEnabled`].
pub async fn begin(
    core: &Core,
    origin: &Origin,
    account: Account,
    email: &str,
) -> Result<Enrolment> {
    let factors = core.factors(account);
    let secret = core.random.bytes::<SECRET_LENGTH>();
    let made = factors.totp(secret.to_vec(), email)?;
    let sealed = factors.sealing.seal(core.random.bytes(), account.id().as_bytes(), &secret)?;
    let uri = made.to_url().map_err(|error| ServiceError::internal(error.to_string()))?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    if !totp::begin(&mut tx, account, &sealed, now).await? {
        return Err(Code::SecondFactorEnabled.into());
    }
    tx.commit().await?;
    let (secret, qr_code) = (made.secret().to_base32(), picture(&uri)?);
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
    account: Account,
    session_id: Uuid,
    code: &str,
) -> Result<Vec<String>> {
    core.limits.check(origin, Action::Code, Who::Session(session_id)).await?;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let found = totp::find(&mut tx, account).await?.ok_or(Code::SecondFactorNotEnabled)?;
    if found.confirmed_at.is_some() {
        return Err(Code::SecondFactorEnabled.into());
    }
    if now - found.created_at > ENROLMENT_LIFE {
        return Err(Code::SecondFactorNotEnabled.into());
    }
    if !use_totp(core, &mut tx, account, found, code).await? {
        return Err(Code::InvalidSecondFactor.into());
    }
    totp::confirm(&mut tx, account, now).await?;
    let codes = replace_recovery_codes(core, &mut tx, account).await?;
    tell(core, &mut tx, account, FactorChange::Enabled).await?;
    tx.commit().await?;
    Ok(codes)
}

/// Removes the factor and its recovery codes.
///
/// # Errors
/// [`Code::SecondFactorNotEnabled`], or [`Code::PasswordNeedsFactor`].
pub async fn disable(core: &Core, origin: &Origin, account: Account) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let needs_factor = match account {
        Account::User(id) => users::lock(&mut tx, id).await?.map(|user| user.password_needs_factor),
        // Their passwords are long enough.
        Account::Admin(id) => admins::lock(&mut tx, id).await?.map(|_| false),
    };
    let needs_factor = needs_factor.ok_or(Code::SessionEnded)?;
    require(&mut tx, account).await?;
    if needs_factor {
        return Err(Code::PasswordNeedsFactor.into());
    }
    remove(core, &mut tx, account).await?;
    Ok(tx.commit().await?)
}

/// The same, whatever password there is.
///
/// # Errors
/// [`Code::SecondFactorNotEnabled`].
pub(super) async fn remove(core: &Core, tx: &mut Tx, account: Account) -> Result<()> {
    require(tx, account).await?;
    totp::delete(tx, account).await?;
    recovery_codes::delete(tx, account).await?;
    tell(core, tx, account, FactorChange::Disabled).await
}

/// Makes new recovery codes in place of all others, and returns them: they are shown this once.
///
/// # Errors
/// [`Code::SecondFactorNotEnabled`].
pub async fn renew_recovery_codes(
    core: &Core,
    origin: &Origin,
    account: Account,
) -> Result<Vec<String>> {
    let mut tx = core.db.begin(origin).await?;
    require(&mut tx, account).await?;
    let codes = replace_recovery_codes(core, &mut tx, account).await?;
    tell(core, &mut tx, account, FactorChange::RecoveryCodesRenewed).await?;
    tx.commit().await?;
    Ok(codes)
}

async fn tell(core: &Core, tx: &mut Tx, account: Account, change: FactorChange) -> Result<()> {
    let (user, admin) = match change {
        FactorChange::Enabled => {
            (audit::Action::UserFactorEnabled, audit::Action::AdminFactorEnabled)
        }
        FactorChange::Disabled => {
            (audit::Action::UserFactorDisabled, audit::Action::AdminFactorDisabled)
        }
        FactorChange::RecoveryCodesRenewed => {
            (audit::Action::UserRecoveryCodesRenewed, audit::Action::AdminRecoveryCodesRenewed)
        }
    };
    match account {
        Account::User(user_id) => {
            audit::record(core, tx, Entry::new(user, Subject::User(user_id))).await?;
            core.jobs.publish(core, tx, &SecondFactorChanged { user_id, change }).await
        }
        Account::Admin(admin_id) => {
            core.staff_sessions.check.changes(tx, admin_id);
            audit::record(core, tx, Entry::new(admin, Subject::Admin(admin_id))).await?;
            staff_notices::send(core, tx, admin_id, Notice::from(change).template()).await
        }
    }
}

async fn require(tx: &mut Tx, account: Account) -> Result<()> {
    if is_enabled(tx, account).await? { Ok(()) } else { Err(Code::SecondFactorNotEnabled.into()) }
}

async fn replace_recovery_codes(core: &Core, tx: &mut Tx, account: Account) -> Result<Vec<String>> {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| core.random.recovery_code()).collect();
    let hashes = codes.iter().map(|code| core.factors(account).hash(&plain(code))).collect();
    let now = tx.now;
    recovery_codes::replace(tx, account, hashes, now).await?;
    Ok(codes)
}

/// Whether a sign-in needs a second factor.
pub(super) async fn is_enabled(conn: &mut Conn, account: Account) -> Result<bool> {
    let found = totp::find(conn, account).await?;
    Ok(found.is_some_and(|totp| totp.confirmed_at.is_some()))
}

/// Uses a code of the factor up, or a recovery code; `false` for any other, and where there is no
/// factor.
pub(super) async fn consume(
    core: &Core,
    tx: &mut Tx,
    account: Account,
    code: &str,
) -> Result<bool> {
    let found = totp::find(tx, account).await?;
    let Some(found) = found.filter(|totp| totp.confirmed_at.is_some()) else { return Ok(false) };
    if code.len() == 6 {
        return use_totp(core, tx, account, found, code).await;
    }
    let hash = core.factors(account).hash(&plain(code));
    Ok(recovery_codes::consume(tx, account, &hash).await?)
}

async fn use_totp(
    core: &Core,
    tx: &mut Tx,
    account: Account,
    found: totp::Totp,
    code: &str,
) -> Result<bool> {
    let factors = core.factors(account);
    let secret = factors.sealing.open(account.id().as_bytes(), found.sealed_secret);
    let secret = secret.ok_or_else(|| {
        ServiceError::internal(
            "a second factor was sealed under another secret: see auth.data_secret",
        )
    })?;
    let now = u64::try_from(tx.now.timestamp()).map_err(ServiceError::internal)?;
    let Some(step) = factors.totp(secret, "")?.check(code, now) else { return Ok(false) };
    let (step, now) = (i64::try_from(step).map_err(ServiceError::internal)?, tx.now);
    Ok(totp::use_step(tx, account, step, now).await?)
}

/// A recovery code as people may type it.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
