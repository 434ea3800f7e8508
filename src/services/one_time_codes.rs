//! Codes and tokens that are mailed and work once (ASVS 5.0, 6.5 and 6.6).

use chrono::TimeDelta;
use ring::hmac;
use secrecy::SecretString;
use uuid::Uuid;

use super::{Core, Result, tokens::derive_key};
use crate::db::{
    Tx,
    user_one_time_codes::{self as codes, NewCode, Purpose},
};

/// How long a six-digit code lives.
pub(super) const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);
/// How often a wrong six-digit code may be entered.
const CODE_ATTEMPTS: i32 = 5;
/// How long the token of a password reset lives.
pub(super) const TOKEN_LIFE: TimeDelta = TimeDelta::minutes(30);

/// Hashes codes under a key: of six digits alone any hash could be reversed by trying.
pub struct CodeKey(hmac::Key);

impl CodeKey {
    /// Derives the key from a realm's secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let key = derive_key(secret, "twofold-client", "one-time codes");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    pub(super) fn hash(&self, code: &str) -> Vec<u8> {
        hmac::sign(&self.0, code.as_bytes()).as_ref().to_vec()
    }
}

/// Makes a six-digit code in place of an older one.
pub(super) async fn issue_code(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    purpose: Purpose,
) -> Result<String> {
    let code = core.random.six_digits();
    store(core, tx, user_id, purpose, &code, (CODE_ATTEMPTS, CODE_LIFE)).await?;
    Ok(code)
}

/// Makes a token of 256 bits in place of an older one.
pub(super) async fn issue_token(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    purpose: Purpose,
) -> Result<String> {
    let token = core.random.token();
    store(core, tx, user_id, purpose, &token, (1, TOKEN_LIFE)).await?;
    Ok(token)
}

async fn store(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    purpose: Purpose,
    code: &str,
    (attempts, life): (i32, TimeDelta),
) -> Result<()> {
    let (hash, now) = (core.code_key.hash(code), tx.now);
    let new = NewCode { user_id, purpose, hash: &hash, attempts, expires_at: now + life, now };
    Ok(codes::replace(tx, new).await?)
}

/// Uses a code or token up, or counts the wrong try; commit in both cases.
pub(super) async fn consume(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    purpose: Purpose,
    code: &str,
) -> Result<bool> {
    let (hash, now) = (core.code_key.hash(code), tx.now);
    let right = codes::consume(tx, user_id, purpose, &hash, now).await?;
    if !right {
        codes::count_attempt(tx, user_id, purpose, now).await?;
    }
    Ok(right)
}

/// Whose token it is. Only for tokens that can't be guessed.
pub(super) async fn owner(
    core: &Core,
    tx: &mut Tx,
    purpose: Purpose,
    token: &str,
) -> Result<Option<Uuid>> {
    let (hash, now) = (core.code_key.hash(token), tx.now);
    Ok(codes::owner(tx, purpose, &hash, now).await?)
}
