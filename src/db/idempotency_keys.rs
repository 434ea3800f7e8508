//! `idempotency_keys`: who works on a request, and what it was answered.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::idempotency_keys as keys};

/// SHA-256 in any form.
pub type Hash = [u8; 32];

/// Which row, and who works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub key_hash: Hash,
    pub id: Uuid,
}

/// What a claim writes.
pub struct NewClaim<'a> {
    pub claim: Claim,
    pub fingerprint: &'a Hash,
    /// Nobody else takes it until then.
    pub leased_until: DateTime<Utc>,
    /// The key is free again from then on, and the answer gone.
    pub expires_at: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

/// A key that somebody has claimed before.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = keys, check_for_backend(diesel::pg::Pg))]
pub struct ClaimedKey {
    pub fingerprint: Vec<u8>,
    /// `None` while it is worked on.
    pub answer: Option<String>,
}

/// Takes a key that is new, too old, or left by a request that died; `false` if it is neither.
///
/// # Errors
/// When a statement fails.
pub async fn claim(conn: &mut Conn, new: NewClaim<'_>) -> QueryResult<bool> {
    let fresh = (
        keys::fingerprint.eq(new.fingerprint.as_slice()),
        keys::claim_id.eq(new.claim.id),
        keys::leased_until.eq(new.leased_until),
        keys::answer.eq(None::<&str>),
        keys::expires_at.eq(new.expires_at),
        keys::created_at.eq(new.now),
        keys::updated_at.eq(new.now),
    );
    let inserted = diesel::insert_into(keys::table)
        .values((keys::key_hash.eq(new.claim.key_hash.as_slice()), fresh))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    if inserted == 1 {
        return Ok(true);
    }
    let died = keys::answer.is_null().and(keys::leased_until.le(new.now));
    let taken = diesel::update(keys::table.find(new.claim.key_hash.as_slice()))
        .filter(keys::expires_at.le(new.now).or(died))
        .set(fresh)
        .execute(conn)
        .await?;
    Ok(taken == 1)
}

/// What is known of a key.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, key_hash: &Hash) -> QueryResult<Option<ClaimedKey>> {
    keys::table
        .find(key_hash.as_slice())
        .select(ClaimedKey::as_select())
        .first(conn)
        .await
        .optional()
}

/// Keeps the answer of the request that holds the claim; `false` if another has taken over.
///
/// # Errors
/// When the statement fails.
pub async fn keep_answer(
    conn: &mut Conn,
    claim: Claim,
    answer: &str,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let kept = diesel::update(keys::table.find(claim.key_hash.as_slice()))
        .filter(keys::claim_id.eq(claim.id))
        .set((keys::answer.eq(answer), keys::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(kept == 1)
}

/// Gives a key back that has no answer.
///
/// # Errors
/// When the statement fails.
pub async fn release(conn: &mut Conn, claim: Claim) -> QueryResult<()> {
    diesel::delete(keys::table.find(claim.key_hash.as_slice()))
        .filter(keys::claim_id.eq(claim.id).and(keys::answer.is_null()))
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes a few keys that are too old. It waits for nobody who removes them too.
///
/// # Errors
/// When the statement fails.
pub async fn remove_expired(conn: &mut Conn, limit: i64, now: DateTime<Utc>) -> QueryResult<usize> {
    let other = diesel::alias!(keys as other);
    let expired = other
        .filter(other.field(keys::expires_at).le(now))
        .select(other.field(keys::key_hash))
        .limit(limit)
        .for_update()
        .skip_locked();
    diesel::delete(keys::table).filter(keys::key_hash.eq_any(expired)).execute(conn).await
}
