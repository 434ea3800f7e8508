//! Signed tokens (JWT, HS256). Each realm has its own secret, issuer and audience, and each
//! kind of token its own key, derived from the secret, and its own `typ` (RFC 8725, 3.11).

pub mod hs256;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::hkdf;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Code, Result, ServiceError};
use crate::db::sessions::Realm;

/// How far the clocks of two replicas may be apart, in seconds: a token that one has just signed
/// must be good at the other. Expiry has no such leeway.
const CLOCK_SKEW: i64 = 5;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Opens operations, for a short time (RFC 9068 gives its `typ`).
    Access,
    /// Is exchanged for new tokens, once.
    Refresh,
    /// Opens pages in a browser, as a cookie; no operation takes it.
    Page,
    /// Stands for a right password, and takes the second factor; opens nothing else.
    Challenge,
    /// Tells a device that has signed in before; opens nothing.
    Device,
}

impl TokenKind {
    /// In the order of their declaration.
    const ALL: [Self; 5] = [Self::Access, Self::Refresh, Self::Page, Self::Challenge, Self::Device];

    fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "refresh+jwt",
            Self::Page => "page+jwt",
            Self::Challenge => "challenge+jwt",
            Self::Device => "device+jwt",
        }
    }
}

/// What a token says (RFC 7519, 4.1); times in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The account.
    pub sub: Uuid,
    /// The session (OpenID Connect's name for it), or what the token has instead of one.
    pub sid: Uuid,
    pub jti: Uuid,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    /// Who acts as the account (RFC 8693, 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
}

impl Claims {
    /// The session that the token is of.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject { account_id: self.sub, session_id: self.sid }
    }
}

/// A member of the staff who acts as a user, and the session of theirs in which they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub sub: Uuid,
    pub sid: Uuid,
}

impl Act {
    /// The session in which they act.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject { account_id: self.sub, session_id: self.sid }
    }
}

/// A session's share in a token.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    pub account_id: Uuid,
    pub session_id: Uuid,
}

struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// Signs and checks the tokens of one realm.
pub struct Tokens {
    issuer: &'static str,
    audience: &'static str,
    /// By kind.
    keys: [Keys; TokenKind::ALL.len()],
}

impl Tokens {
    /// Derives the keys from the realm's secret.
    #[must_use]
    pub fn new(realm: Realm, secret: &SecretString) -> Self {
        let (issuer, audience) = match realm {
            Realm::Client => ("twofold-client", "client-api"),
            Realm::Backoffice => ("twofold-backoffice", "backoffice-api"),
        };
        let keys = TokenKind::ALL.map(|kind| {
            let key = derive_key(secret, issuer, kind.typ());
            Keys {
                encoding: EncodingKey::from_secret(&key),
                decoding: DecodingKey::from_secret(&key),
            }
        });
        Self { issuer, audience, keys }
    }

    fn keys(&self, kind: TokenKind) -> &Keys {
        &self.keys[kind as usize]
    }

    /// The same arguments always give the same token.
    ///
    /// # Errors
    /// Never, with an HMAC key.
    pub fn sign(
        &self,
        kind: TokenKind,
        subject: Subject,
        id: Uuid,
        issued_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<String> {
        self.sign_claims(kind, &self.claims(subject, id, issued_at, expires_at))
    }

    /// An access token for who acts as the account.
    ///
    /// # Errors
    /// Never, with an HMAC key.
    pub fn sign_acting(
        &self,
        act: Act,
        subject: Subject,
        id: Uuid,
        issued_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<String> {
        let claims = self.claims(subject, id, issued_at, expires_at);
        self.sign_claims(TokenKind::Access, &Claims { act: Some(act), ..claims })
    }

    fn claims(
        &self,
        subject: Subject,
        id: Uuid,
        issued_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Claims {
        Claims {
            iss: self.issuer.to_owned(),
            aud: self.audience.to_owned(),
            sub: subject.account_id,
            sid: subject.session_id,
            jti: id,
            iat: issued_at.timestamp(),
            nbf: issued_at.timestamp(),
            exp: expires_at.timestamp(),
            act: None,
        }
    }

    fn sign_claims(&self, kind: TokenKind, claims: &Claims) -> Result<String> {
        let header = Header { typ: Some(kind.typ().to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &self.keys(kind).encoding)
            .map_err(ServiceError::internal)
    }

    /// Checks everything about a token but its session.
    ///
    /// # Errors
    /// [`Code::TokenExpired`] for a genuine token past its time, [`Code::InvalidToken`] for
    /// all else; nothing tells an attacker what was wrong.
    pub fn verify(&self, kind: TokenKind, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        // Times are checked below, against our clock and not the system's.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.set_issuer(&[self.issuer]);
        rules.set_audience(&[self.audience]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.keys(kind).decoding, &rules)
            .map_err(|_| Code::InvalidToken)?;
        if decoded.header.typ.as_deref() != Some(kind.typ()) {
            return Err(Code::InvalidToken.into());
        }
        let (claims, now) = (decoded.claims, now.timestamp());
        if now + CLOCK_SKEW < claims.nbf {
            return Err(Code::InvalidToken.into());
        }
        if now >= claims.exp {
            return Err(Code::TokenExpired.into());
        }
        Ok(claims)
    }
}

/// HKDF-SHA-256 (RFC 5869): one secret, a key for each use.
pub(super) fn derive_key(secret: &SecretString, realm: &str, kind: &str) -> [u8; 32] {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"twofold token keys v1");
    let mut key = [0; 32];
    let info = [realm.as_bytes(), b"/", kind.as_bytes()];
    #[expect(clippy::expect_used, reason = "it fails for lengths above 255 hashes only")]
    salt.extract(secret.expose_secret().as_bytes())
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(&mut key))
        .expect("32 bytes are one hash");
    key
}

#[cfg(test)]
mod tests;
