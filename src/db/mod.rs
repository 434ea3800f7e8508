//! PostgreSQL: the pool, transactions, migrations, and one file per table.
//!
//! A query function takes a connection; its caller owns the transaction. SQL never asks the
//! database for the time: it is handed the transaction's.

pub mod admin_password_resets;
pub mod admin_sessions;
pub mod admins;
pub mod audit_logs;
pub mod audit_seals;
mod bus;
pub mod cleanup;
mod connect;
pub mod count;
pub mod doomed_objects;
mod error;
pub mod file_spaces;
pub mod files;
pub mod idempotency_keys;
pub mod inspect;
pub mod invitations;
pub mod jobs;
pub mod keyset;
mod like;
mod listed_sessions;
pub mod login_challenges;
pub mod mail_pace;
pub mod mails;
mod manager;
pub mod migrations;
pub mod notifications;
pub mod open_sessions;
mod pool;
pub mod post_attachments;
pub mod post_comments;
pub mod post_counts;
pub mod post_likes;
pub mod post_reports;
pub mod post_revisions;
pub mod posts;
mod pulse;
pub mod recovery_codes;
pub mod roles;
#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "as diesel writes it"))]
pub mod schema;
pub mod search;
pub mod sessions;
pub mod setting_versions;
mod sql_log;
pub mod tags;
pub mod tallies;
mod texts;
pub mod totp;
mod tx;
mod unit_of_work;
pub mod user_activity;
pub mod user_notes;
pub mod user_one_time_codes;
pub mod user_sessions;
pub mod users;
pub mod words;

pub use bus::{Bus, Pulse, Topic, tell_of_change};
pub use connect::is_url;
pub use error::DbError;
use like::contains;
pub use pool::{Db, PoolSettings, Pooled};
pub use sql_log::{Logged, SqlLog};
pub use tx::{Actor, ActorKind, Origin, Tx};
pub use unit_of_work::{Lost, UnitOfWork};

/// A connection to PostgreSQL.
pub type Conn = diesel_async::AsyncPgConnection;

/// Maps an enum to a text column that a CHECK constraint guards.
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant),+ }

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                use std::io::Write;
                out.write_all(match self { $(Self::$variant => $text),+ }.as_bytes())?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn from_sql(value: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                match value.as_bytes() {
                    $(bytes if bytes == $text.as_bytes() => Ok(Self::$variant),)+
                    _ => Err(concat!("not a value of ", stringify!($name)).into()),
                }
            }
        }
    };
}
use text_enum;
