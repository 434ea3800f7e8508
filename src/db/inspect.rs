//! What a database server says of itself, for `doctor`.

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName,
    sql_types::{Bool, Integer, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;
use futures_util::future;
use secrecy::{ExposeSecret, SecretString};

use super::{DbError, connect::connect};
use crate::telemetry::Chain;

/// The major version of the oldest server that the product is made for.
pub const OLDEST_SERVER: u32 = 15;

/// One server, seen by the role that connects to it.
#[derive(Debug, Clone, QueryableByName)]
pub struct Server {
    /// As in `17.2 (Debian 17.2-1)`.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// As in `17`.
    #[diesel(sql_type = Integer)]
    pub major_version: i32,
    #[diesel(sql_type = Text)]
    pub encoding: String,
    #[diesel(sql_type = Timestamptz)]
    pub clock: DateTime<Utc>,
    /// Whether the role may make tables where migrations make them.
    #[diesel(sql_type = Bool)]
    pub can_create: bool,
    #[diesel(sql_type = Bool)]
    pub is_read_only: bool,
    #[diesel(sql_type = Integer)]
    pub max_connections: i32,
    /// As in `5s`; `0` is none.
    #[diesel(sql_type = Text)]
    pub statement_timeout: String,
}

/// Connects, and asks.
///
/// # Errors
/// When there is no answer, with the cause.
pub async fn inspect(url: &SecretString) -> Result<Server, DbError> {
    // The server's own clock is what this is about.
    const QUESTIONS: &str = "SELECT current_setting('server_version') AS version, \
         current_setting('server_version_num')::int4 / 10000 AS major_version, \
         current_setting('server_encoding') AS encoding, \
         clock_timestamp() AS clock, \
         coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS can_create, \
         pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS is_read_only, \
         current_setting('max_connections')::int4 AS max_connections, \
         current_setting('statement_timeout') AS statement_timeout";
    let connected = connect(url.expose_secret(), None, future::pending()).await;
    let (mut conn, _driver) =
        connected.map_err(|error| DbError::Unavailable(Chain(&error).to_string()))?;
    Ok(diesel::sql_query(QUESTIONS).get_result(&mut conn).await?)
}
