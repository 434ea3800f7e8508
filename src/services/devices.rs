//! Devices that have signed in before. Each is told by a token that its last sign-in gave it; a token opens nothing.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{
    Result,
    tokens::{Subject, TokenKind, Tokens},
};
use crate::adapters::random::Random;

/// How long a device is known after it has signed in.
pub const DEVICE_LIFE: TimeDelta = TimeDelta::days(365);

/// The identifier of the device that this is the token of, if it has signed in to this account before. Any other
/// token is as good as none: it must not keep anybody out.
pub(super) fn known_to(
    tokens: &Tokens,
    token: Option<&SecretString>,
    account_id: Uuid,
    now: DateTime<Utc>,
) -> Option<Uuid> {
    let claims = tokens.verify(TokenKind::Device, token?.expose_secret(), now).ok()?;
    (claims.sub == account_id).then_some(claims.sid)
}

/// What tells the device at its next sign-in.
pub(super) fn token(
    tokens: &Tokens,
    random: Random,
    account_id: Uuid,
    device_id: Uuid,
    now: DateTime<Utc>,
) -> Result<String> {
    let subject = Subject { account_id, session_id: device_id };
    tokens.sign(TokenKind::Device, subject, random.id(now), now, now + DEVICE_LIFE)
}
