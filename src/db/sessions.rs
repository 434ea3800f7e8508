//! `user_sessions` and `admin_sessions`: two tables of one shape, one for each realm.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema};

/// The two kinds of people, who never share a table, a key or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    Client,
    Backoffice,
}

/// An account of either realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    User(Uuid),
    Admin(Uuid),
}

impl Account {
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::User(id) | Self::Admin(id) => id,
        }
    }

    #[must_use]
    pub fn realm(self) -> Realm {
        match self {
            Self::User(_) => Realm::Client,
            Self::Admin(_) => Realm::Backoffice,
        }
    }
}

/// The same statement on the realm's own table.
macro_rules! on {
    ($realm:expr, $table:ident => $statement:expr) => {
        match $realm {
            Realm::Client => {
                use schema::user_sessions as $table;
                $statement
            }
            Realm::Backoffice => {
                use schema::admin_sessions as $table;
                $statement
            }
        }
    };
}

/// The refresh token that a session accepts now, without the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub id: Uuid,
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// A session of either realm.
#[derive(Debug, Clone, Queryable)]
pub struct Session {
    pub id: Uuid,
    pub account_id: Uuid,
    pub refresh_token_id: Uuid,
    pub refresh_token_hash: Vec<u8>,
    pub refresh_issued_at: DateTime<Utc>,
    pub refresh_expires_at: DateTime<Utc>,
    pub previous_refresh_token_hash: Option<Vec<u8>>,
    /// However often it is refreshed, the session ends then.
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

macro_rules! columns {
    ($table:ident) => {
        (
            $table::id,
            $table::account_id,
            $table::refresh_token_id,
            $table::refresh_token_hash,
            $table::refresh_issued_at,
            $table::refresh_expires_at,
            $table::previous_refresh_token_hash,
            $table::expires_at,
            $table::revoked_at,
        )
    };
}

/// What a new row needs.
pub struct NewSession<'a> {
    pub id: Uuid,
    pub account_id: Uuid,
    pub refresh_token: &'a RefreshToken,
    pub expires_at: DateTime<Utc>,
    /// What the app calls the device.
    pub device_name: Option<&'a str>,
    pub seen: Seen,
    pub now: DateTime<Utc>,
}

/// Where a session was last used from.
#[derive(Debug, Clone)]
pub struct Seen {
    pub user_agent: Option<String>,
    pub ip_address: Option<String>,
}

/// Stores a new session.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, realm: Realm, new: NewSession<'_>) -> QueryResult<()> {
    on!(realm, table => diesel::insert_into(table::table)
        .values((
            table::id.eq(new.id),
            table::account_id.eq(new.account_id),
            table::refresh_token_id.eq(new.refresh_token.id),
            table::refresh_token_hash.eq(&new.refresh_token.hash),
            table::refresh_issued_at.eq(new.refresh_token.issued_at),
            table::refresh_expires_at.eq(new.refresh_token.expires_at),
            table::expires_at.eq(new.expires_at),
            table::device_name.eq(new.device_name),
            table::user_agent.eq(new.seen.user_agent),
            table::ip_address.eq(new.seen.ip_address),
            table::created_at.eq(new.now),
            table::updated_at.eq(new.now),
        ))
        .execute(conn)
        .await?);
    Ok(())
}

/// Reads a session and locks it until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut Conn, realm: Realm, id: Uuid) -> QueryResult<Option<Session>> {
    on!(realm, table => table::table
        .find(id)
        .select(columns!(table))
        .for_update()
        .first(conn)
        .await
        .optional())
}

/// Replaces the session's refresh token, and remembers the one before and from where it was used.
///
/// # Errors
/// When the statement fails.
pub async fn rotate(
    conn: &mut Conn,
    realm: Realm,
    id: Uuid,
    successor: &RefreshToken,
    seen: Seen,
) -> QueryResult<()> {
    on!(realm, table => diesel::update(table::table.find(id))
        .set((
            table::previous_refresh_token_hash.eq(table::refresh_token_hash.nullable()),
            table::refresh_token_id.eq(successor.id),
            table::refresh_token_hash.eq(&successor.hash),
            table::refresh_issued_at.eq(successor.issued_at),
            table::refresh_expires_at.eq(successor.expires_at),
            table::user_agent.eq(seen.user_agent),
            table::ip_address.eq(seen.ip_address),
            table::updated_at.eq(successor.issued_at),
        ))
        .execute(conn)
        .await?);
    Ok(())
}

/// Ends one session, and tells it if it had not ended already.
///
/// # Errors
/// When the statement fails.
pub async fn revoke(
    conn: &mut Conn,
    realm: Realm,
    id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Uuid>> {
    on!(realm, table => diesel::update(table::table.find(id).filter(table::revoked_at.is_null()))
        .set((table::revoked_at.eq(now), table::updated_at.eq(now)))
        .returning(table::id)
        .load(conn)
        .await)
}

/// Ends all sessions of an account but `except`, and tells which had not ended already.
///
/// # Errors
/// When the statement fails.
pub async fn revoke_all(
    conn: &mut Conn,
    realm: Realm,
    account_id: Uuid,
    except: Option<Uuid>,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Uuid>> {
    // No session has the nil id.
    let except = except.unwrap_or_default();
    on!(realm, table => diesel::update(table::table)
        .filter(table::account_id.eq(account_id).and(table::id.ne(except)).and(table::revoked_at.is_null()))
        .set((table::revoked_at.eq(now), table::updated_at.eq(now)))
        .returning(table::id)
        .load(conn)
        .await)
}

/// The account has proved who it is.
///
/// # Errors
/// When the statement fails.
pub async fn set_authenticated(
    conn: &mut Conn,
    realm: Realm,
    id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    on!(realm, table => diesel::update(table::table.find(id))
        .set((table::authenticated_at.eq(now), table::updated_at.eq(now)))
        .execute(conn)
        .await?);
    Ok(())
}
