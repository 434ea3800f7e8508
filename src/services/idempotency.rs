//! Requests that may be sent again (draft-ietf-httpapi-idempotency-key-header): what the first one
//! under a key was answered is kept for a day, by the transaction that has its effect.

use std::time::Duration;

use chrono::TimeDelta;
use ring::hmac;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Code, Core, Result, ServiceError, tokens::derive_key};
pub use crate::db::idempotency_keys::Claim;
use crate::db::{
    Actor, Origin, Tx,
    idempotency_keys::{self as keys, Hash, NewClaim},
    sessions::Realm,
};

/// How long an answer is kept.
const RETENTION: TimeDelta = TimeDelta::hours(24);
/// How far the clocks of two replicas may be apart.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(5);
/// So many old keys go with each claim that they can't become more and more.
const REMOVED_BY_EACH: i64 = 2;

/// Recognises keys and requests without keeping them.
pub struct Idempotency {
    client: hmac::Key,
    backoffice: hmac::Key,
    /// How long a key belongs to a request that may have died.
    lease: TimeDelta,
}

/// A request with a key.
pub struct KeyedRequest<'a> {
    pub realm: Realm,
    /// Whose key it is; that of another is another key.
    pub actor: Actor,
    pub key: &'a str,
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub body: &'a [u8],
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What a key tells of its request.
pub enum Outcome {
    /// It is the first one: do it, then [`keep`] its answer, or [`release`] the key.
    First(Claim),
    /// It was answered.
    Repeated(KeptAnswer),
}

impl Idempotency {
    /// Derives the keys from the realms' secrets. No request takes longer than `request_limit`.
    #[must_use]
    pub fn new(client: &SecretString, backoffice: &SecretString, request_limit: Duration) -> Self {
        let key = |secret, issuer| {
            let key = derive_key(secret, issuer, "idempotency keys");
            hmac::Key::new(hmac::HMAC_SHA256, &key)
        };
        let limit = TimeDelta::from_std(request_limit).unwrap_or(RETENTION);
        Self {
            client: key(client, "twofold-client"),
            backoffice: key(backoffice, "twofold-backoffice"),
            lease: limit + CLOCK_SKEW,
        }
    }

    /// The same for the same key of the same caller.
    fn key_hash(&self, request: &KeyedRequest<'_>) -> Hash {
        let account = request.actor.account_id();
        let account = account.as_ref().map(|id| id.as_bytes().as_slice()).unwrap_or_default();
        self.hash(request.realm, &[b"key", account, request.key.as_bytes()])
    }

    /// The same for the same request. Of a password in a body a plain hash could be tried offline.
    fn fingerprint(&self, request: &KeyedRequest<'_>) -> Hash {
        let (method, target) = (request.method.as_bytes(), request.target.as_bytes());
        self.hash(request.realm, &[b"request", method, target, request.body])
    }

    fn hash(&self, realm: Realm, parts: &[&[u8]]) -> Hash {
        let mut context = hmac::Context::with_key(match realm {
            Realm::Client => &self.client,
            Realm::Backoffice => &self.backoffice,
        });
        for part in parts {
            // No end of one part can be taken for the start of the next.
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

/// Takes the key for this request, or tells what the first one was answered.
///
/// # Errors
/// [`Code::IdempotencyKeyReused`] when it belongs to another request,
/// [`Code::IdempotencyKeyInFlight`] while the first one is not answered.
pub async fn claim(core: &Core, request: &KeyedRequest<'_>) -> Result<Outcome> {
    let now = core.clock.now();
    let (key_hash, fingerprint) =
        (core.idempotency.key_hash(request), core.idempotency.fingerprint(request));
    let claim = Claim { key_hash, id: core.random.id(now) };
    let new = NewClaim {
        claim,
        fingerprint: &fingerprint,
        leased_until: now + core.idempotency.lease,
        expires_at: now + RETENTION,
        now,
    };
    // Each statement by itself: together, two requests could wait for each other.
    let mut conn = core.db.conn().await?;
    keys::remove_expired(&mut conn, REMOVED_BY_EACH, now).await?;
    if keys::claim(&mut conn, new).await? {
        return Ok(Outcome::First(claim));
    }
    // It may have been released since.
    let known = keys::find(&mut conn, &key_hash).await?.ok_or(Code::IdempotencyKeyInFlight)?;
    if known.fingerprint != fingerprint {
        return Err(Code::IdempotencyKeyReused.into());
    }
    let answer = known.answer.ok_or(Code::IdempotencyKeyInFlight)?;
    Ok(Outcome::Repeated(serde_json::from_str(&answer).map_err(ServiceError::internal)?))
}

/// Makes a request's effect, which is `work`, and its answer durable together.
///
/// # Errors
/// [`Code::IdempotencyKeyInFlight`] when another request has taken over; this one has had no
/// effect then, nor when the database did not confirm.
pub async fn keep(core: &Core, claim: Claim, work: Option<Tx>, answer: &KeptAnswer) -> Result<()> {
    let mut tx = match work {
        Some(tx) => tx,
        None => core.db.begin(&Origin::system("idempotency")).await?,
    };
    let answer = serde_json::to_string(answer).map_err(ServiceError::internal)?;
    if !keys::keep_answer(&mut tx, claim, &answer, core.clock.now()).await? {
        return Err(Code::IdempotencyKeyInFlight.into());
    }
    Ok(tx.commit().await?)
}

/// Gives back the key of a request that has had no effect. A key with an answer stays.
///
/// # Errors
/// When the database fails; the key is free at the end of its lease then.
pub async fn release(core: &Core, claim: Claim) -> Result<()> {
    Ok(keys::release(&mut *core.db.conn().await?, claim).await?)
}
