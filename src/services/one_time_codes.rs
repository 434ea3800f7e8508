//! Codes and tokens that are mailed and work once (ASVS 5.0, 6.5 and 6.6).

use chrono::TimeDelta;
use ring::hmac;
use secrecy::SecretString;
use uuid::Uuid;

use super::{Core, Result, tokens::derive_key};
use crate::db::{
    Tx,
    user_one_time_codes::{self as codes, Consumed, NewCode, Purpose},
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

/// Makes a six-digit code in place of an older one. `new_email` is where it is mailed to, if that isn't the
/// account's address yet.
pub(super) async fn issue_code(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    purpose: Purpose,
    new_email: Option<&str>,
) -> Result<String> {
    let (code, now) = (core.random.six_digits(), tx.now);
    let hash = &core.code_key.hash(&code);
    let (attempts, expires_at) = (CODE_ATTEMPTS, now + CODE_LIFE);
    let new = NewCode { user_id, purpose, hash, new_email, attempts, expires_at, now };
    codes::replace(tx, new).await?;
    Ok(code)
}

/// Makes a token of 256 bits in place of an older one.
pub(super) async fn issue_token(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    purpose: Purpose,
) -> Result<String> {
    let (token, now) = (core.random.token(), tx.now);
    let hash = &core.code_key.hash(&token);
    let expires_at = now + TOKEN_LIFE;
    let new = NewCode { user_id, purpose, hash, new_email: None, attempts: 1, expires_at, now };
    codes::replace(tx, new).await?;
    Ok(token)
}

/// Uses a code or token up, or counts the wrong try (`None`); commit in both cases.
pub(super) async fn consume(
    core: &Core,
    tx: &mut Tx,
    user_id: Uuid,
    purpose: Purpose,
    code: &str,
) -> Result<Option<Consumed>> {
    let (hash, now) = (core.code_key.hash(code), tx.now);
    let consumed = codes::consume(tx, user_id, purpose, &hash, now).await?;
    if consumed.is_none() {
        codes::count_attempt(tx, user_id, purpose, now).await?;
    }
    Ok(consumed)
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
