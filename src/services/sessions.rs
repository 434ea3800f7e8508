//! Sessions of both realms: opened by a sign-in, kept by refreshing, ended by a logout.
//!
//! PostgreSQL is the truth. Each refresh replaces the refresh token (RFC 9700, 4.14.2); using
//! an old one ends the session, but for a short grace in which it gives the same successor
//! again, so that parallel tabs of a browser don't sign each other out.

use chrono::{DateTime, TimeDelta, Utc};
use ring::digest;
use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Entry},
    events::RefreshTokenReused,
    impersonation,
    limits::{Action, Who},
    session_check::{OpenSession, SessionCheck},
    tallies,
    tokens::{Act, Claims, Subject, TokenKind, Tokens},
};
use crate::{
    adapters::random::Random,
    db::{
        Origin, Tx, login_challenges,
        sessions::{self, Account, NewSession, Realm, RefreshToken, Seen, Session},
        user_sessions,
    },
};

/// How long the token before the current one still answers with the current one.
const REUSE_GRACE: TimeDelta = TimeDelta::seconds(10);

/// How long it counts that the account has proved who it is (security-relevant changes ask for that).
pub const RECENT: TimeDelta = TimeDelta::minutes(15);

/// The longest `User-Agent` that is kept, in characters.
const MAX_USER_AGENT: usize = 512;

/// The sessions of one realm, and their rules.
pub struct Sessions {
    pub realm: Realm,
    pub tokens: Tokens,
    pub check: SessionCheck,
    /// The life of an access token.
    pub access: TimeDelta,
    /// The life of a refresh token: a session that isn't refreshed ends then.
    pub idle: TimeDelta,
    /// The greatest age of a session.
    pub absolute: TimeDelta,
}

/// What a sign-in or a refresh answers with.
#[derive(Debug, Clone)]
pub struct TokenPair {
    pub session_id: Uuid,
    pub access_token: String,
    pub refresh_token: String,
    /// The life of the access token in seconds.
    pub expires_in: i64,
    /// The life of the refresh token in seconds.
    pub refresh_expires_in: i64,
}

/// What a browser gets instead of a [`TokenPair`]: a token for pages, as a cookie. It stands in the
/// place of the session's refresh token, and so ends when that would.
#[derive(Debug, Clone)]
pub struct PageToken {
    pub session_id: Uuid,
    pub token: String,
    /// Its life in seconds.
    pub expires_in: i64,
}

/// What who acts as a user gets instead.
#[derive(Debug, Clone)]
pub struct ActingToken {
    pub session_id: Uuid,
    pub access_token: String,
    /// The end of both.
    pub expires_at: DateTime<Utc>,
    /// Their life in seconds.
    pub expires_in: i64,
}

/// Whose token it is, and the session, which is open.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub claims: Claims,
    pub session: OpenSession,
}

/// A session that has just been opened, and the token that keeps it.
struct Opened {
    subject: Subject,
    token: String,
    token_end: DateTime<Utc>,
    session_end: DateTime<Utc>,
}

impl Sessions {
    /// Opens a session for an account that has proved who it is, on what the app calls its device.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(
        &self,
        tx: &mut Tx,
        random: Random,
        account_id: Uuid,
        device_name: Option<&str>,
    ) -> Result<TokenPair> {
        let opened = self.insert(tx, random, account_id, TokenKind::Refresh, device_name).await?;
        let Opened { subject, token, token_end, session_end } = opened;
        self.pair(subject, random, token, token_end, session_end, tx.now)
    }

    /// The same for a browser.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_for_pages(
        &self,
        tx: &mut Tx,
        random: Random,
        account_id: Uuid,
    ) -> Result<PageToken> {
        let Opened { subject, token, token_end, .. } =
            self.insert(tx, random, account_id, TokenKind::Page, None).await?;
        let expires_in = (token_end - tx.now).num_seconds();
        Ok(PageToken { session_id: subject.session_id, token, expires_in })
    }

    /// The same for who acts as the user, for a while: an access token and nothing to refresh it with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_acting(
        &self,
        tx: &mut Tx,
        random: Random,
        account_id: Uuid,
        act: Act,
        life: TimeDelta,
    ) -> Result<ActingToken> {
        let now = tx.now;
        let (subject, end) = (Subject { account_id, session_id: random.id(now) }, now + life);
        // It is nobody's.
        let (_, stored) = self.new_token(TokenKind::Refresh, subject, random, now, end)?;
        self.store(tx, subject, &stored, end, None).await?;
        user_sessions::set_impersonator(tx, subject.session_id, act.sub, now).await?;
        let access_token = self.tokens.sign_acting(act, subject, random.id(now), now, end)?;
        let (session_id, expires_in) = (subject.session_id, life.num_seconds());
        Ok(ActingToken { session_id, access_token, expires_at: end, expires_in })
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        random: Random,
        account_id: Uuid,
        kind: TokenKind,
        device_name: Option<&str>,
    ) -> Result<Opened> {
        let now = tx.now;
        let subject = Subject { account_id, session_id: random.id(now) };
        let session_end = now + self.absolute;
        let (token, stored) = self.new_token(kind, subject, random, now, session_end)?;
        self.store(tx, subject, &stored, session_end, device_name).await?;
        Ok(Opened { subject, token, token_end: stored.expires_at, session_end })
    }

    async fn store(
        &self,
        tx: &mut Tx,
        subject: Subject,
        refresh_token: &RefreshToken,
        expires_at: DateTime<Utc>,
        device_name: Option<&str>,
    ) -> Result<()> {
        let (now, seen) = (tx.now, seen(&tx.origin));
        let Subject { account_id, session_id: id } = subject;
        let new = NewSession { id, account_id, refresh_token, expires_at, device_name, seen, now };
        Ok(sessions::insert(tx, self.realm, new).await?)
    }

    /// Exchanges a refresh token for new tokens.
    ///
    /// # Errors
    /// [`Code::SessionEnded`] for a session that is over, [`Code::RefreshTokenReused`] for an
    /// old token (which ends the session), [`Code::TooManyRequests`], [`Code::InvalidToken`] for anything else.
    pub async fn refresh(&self, core: &Core, origin: &Origin, token: &str) -> Result<TokenPair> {
        let verified = self.tokens.verify(TokenKind::Refresh, token, core.clock.now());
        let who = verified.as_ref().map_or(Who::Nobody, |claims| Who::Session(claims.sid));
        core.limits.check(origin, Action::Refresh, who).await?;
        let claims = verified.map_err(|error| match error.code {
            // Nothing is left to refresh with: `token_expired` would make clients try again.
            Code::TokenExpired => Code::SessionEnded.into(),
            _ => error,
        })?;
        let mut tx = core.db.begin(origin).await?;
        let now = tx.now;
        let session = self.lock(&mut tx, &claims).await?;
        let subject = Subject { account_id: session.account_id, session_id: session.id };
        let hash = digest::digest(&digest::SHA256, token.as_bytes());

        if session.refresh_token_hash == hash.as_ref() {
            let (refresh_token, stored) =
                self.new_token(TokenKind::Refresh, subject, core.random, now, session.expires_at)?;
            sessions::rotate(&mut tx, self.realm, session.id, &stored, seen(origin)).await?;
            if self.realm == Realm::Client {
                tallies::count_active(core, &mut tx, session.account_id).await?;
            }
            tx.commit().await?;
            let end = session.expires_at;
            return self.pair(subject, core.random, refresh_token, stored.expires_at, end, now);
        }
        let is_previous = session.previous_refresh_token_hash.as_deref() == Some(hash.as_ref());
        if is_previous && now - session.refresh_issued_at <= REUSE_GRACE {
            let (id, issued, expires) =
                (session.refresh_token_id, session.refresh_issued_at, session.refresh_expires_at);
            let refresh_token =
                self.tokens.sign(TokenKind::Refresh, subject, id, issued, expires)?;
            return self.pair(
                subject,
                core.random,
                refresh_token,
                expires,
                session.expires_at,
                now,
            );
        }
        self.revoke(core, &mut tx, session.id).await?;
        let entry = match self.realm {
            Realm::Client => Entry::new(
                audit::Action::UserRefreshTokenReused,
                audit::Subject::User(session.account_id),
            ),
            Realm::Backoffice => Entry::new(
                audit::Action::AdminRefreshTokenReused,
                audit::Subject::Admin(session.account_id),
            ),
        };
        let entry = entry.by(origin.actor, Some(session.id));
        audit::record(core, &mut tx, entry).await?;
        if self.realm == Realm::Client {
            let (user_id, session_id) = (session.account_id, session.id);
            core.jobs.publish(core, &mut tx, &RefreshTokenReused { user_id, session_id }).await?;
        }
        tx.commit().await?;
        tracing::warn!(session_id = %session.id, "a refresh token was used again: the session is ended");
        Err(Code::RefreshTokenReused.into())
    }

    /// Exchanges a token for pages when a tenth of its life is over, so that a session in use goes
    /// on without being written at each request.
    ///
    /// # Errors
    /// [`Code::SessionEnded`] for a session that is over.
    pub async fn renew_for_pages(
        &self,
        core: &Core,
        origin: &Origin,
        claims: &Claims,
    ) -> Result<Option<PageToken>> {
        let age = TimeDelta::seconds(core.clock.now().timestamp() - claims.iat);
        if age * 10 < self.idle {
            return Ok(None);
        }
        let mut tx = core.db.begin(origin).await?;
        let (now, session) = (tx.now, self.lock(&mut tx, claims).await?);
        let subject = Subject { account_id: session.account_id, session_id: session.id };
        let (token, stored) =
            self.new_token(TokenKind::Page, subject, core.random, now, session.expires_at)?;
        sessions::rotate(&mut tx, self.realm, session.id, &stored, seen(origin)).await?;
        tx.commit().await?;
        let expires_in = (stored.expires_at - now).num_seconds();
        Ok(Some(PageToken { session_id: session.id, token, expires_in }))
    }

    /// The session of a token, unless it is over.
    async fn lock(&self, tx: &mut Tx, claims: &Claims) -> Result<Session> {
        let now = tx.now;
        let session = sessions::lock(tx, self.realm, claims.sid).await?;
        let session = session
            .filter(|s| s.account_id == claims.sub && s.revoked_at.is_none() && s.expires_at > now);
        Ok(session.ok_or(Code::SessionEnded)?)
    }

    /// Ends the session that asks for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end(&self, core: &Core, origin: &Origin, session_id: Uuid) -> Result<()> {
        let mut tx = core.db.begin(origin).await?;
        self.revoke(core, &mut tx, session_id).await?;
        if let Some(id) = origin.actor.admin_id() {
            let entry = Entry::new(audit::Action::AdminSignedOut, audit::Subject::Admin(id));
            audit::record(core, &mut tx, entry).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Ends one session in a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke(&self, core: &Core, tx: &mut Tx, session_id: Uuid) -> Result<()> {
        let now = tx.now;
        let ended = sessions::revoke(tx, self.realm, session_id, now).await?;
        self.record_ends(core, tx, &ended).await?;
        self.check.changes(tx, session_id);
        Ok(())
    }

    /// Ends all sessions of an account but `except`, and sign-ins that are under way.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_all(
        &self,
        core: &Core,
        tx: &mut Tx,
        account_id: Uuid,
        except: Option<Uuid>,
    ) -> Result<()> {
        let now = tx.now;
        let account = match self.realm {
            Realm::Client => Account::User(account_id),
            Realm::Backoffice => Account::Admin(account_id),
        };
        login_challenges::delete_all(tx, account).await?;
        let ended = sessions::revoke_all(tx, self.realm, account_id, except, now).await?;
        self.record_ends(core, tx, &ended).await?;
        self.check.changes(tx, account_id);
        Ok(())
    }

    async fn record_ends(&self, core: &Core, tx: &mut Tx, ended: &[Uuid]) -> Result<()> {
        match self.realm {
            Realm::Client if !ended.is_empty() => impersonation::record_ends(core, tx, ended).await,
            Realm::Client | Realm::Backoffice => Ok(()),
        }
    }

    /// Tells whose access token it is, and of which session, which is open.
    ///
    /// # Errors
    /// As [`Tokens::verify`] and [`SessionCheck::check`].
    pub async fn authenticate(&self, core: &Core, token: &str) -> Result<Authenticated> {
        let claims = self.tokens.verify(TokenKind::Access, token, core.clock.now())?;
        let session = self.check.check(core, claims.subject()).await?;
        Ok(Authenticated { claims, session })
    }

    /// Makes sure that an account has proved lately who it is: by signing in, or by a step-up.
    ///
    /// # Errors
    /// [`Code::StepUpRequired`] if it hasn't.
    pub async fn require_recent(&self, core: &Core, who: &Authenticated) -> Result<()> {
        let now = core.clock.now();
        let is_recent = |session: &OpenSession| now - session.authenticated_at <= RECENT;
        // A proof is told to nobody: whoever knows of none asks.
        if is_recent(&who.session) || is_recent(&self.check.read(core, who.claims.subject()).await?)
        {
            return Ok(());
        }
        Err(Code::StepUpRequired.into())
    }

    /// A token that keeps a session: one to refresh with, or one for pages.
    fn new_token(
        &self,
        kind: TokenKind,
        subject: Subject,
        random: Random,
        now: DateTime<Utc>,
        session_end: DateTime<Utc>,
    ) -> Result<(String, RefreshToken)> {
        let (id, expires_at) = (random.id(now), session_end.min(now + self.idle));
        let token = self.tokens.sign(kind, subject, id, now, expires_at)?;
        let hash = digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec();
        Ok((token, RefreshToken { id, hash, issued_at: now, expires_at }))
    }

    fn pair(
        &self,
        subject: Subject,
        random: Random,
        refresh_token: String,
        refresh_end: DateTime<Utc>,
        session_end: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<TokenPair> {
        let end = session_end.min(now + self.access);
        let access_token =
            self.tokens.sign(TokenKind::Access, subject, random.id(now), now, end)?;
        Ok(TokenPair {
            session_id: subject.session_id,
            access_token,
            refresh_token,
            expires_in: (end - now).num_seconds(),
            refresh_expires_in: (refresh_end - now).num_seconds(),
        })
    }
}

/// From where a session is used.
fn seen(origin: &Origin) -> Seen {
    let user_agent = origin.user_agent.as_deref();
    Seen {
        user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        ip_address: origin.ip_address.map(|ip| ip.to_string()),
    }
}
