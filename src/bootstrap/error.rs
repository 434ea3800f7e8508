//! Why the product can't start.

use std::path::PathBuf;

#[cfg(feature = "embedded")]
use crate::embedded::{postgres::PostgresError, storage::StorageServerError};
use crate::{
    adapters::{mailer::MailError, redis::RedisError},
    db::migrations::MigrationError,
    server::ListenError,
    services::ServiceError,
};

/// Why the product can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[cfg(feature = "embedded")]
    #[error("the embedded PostgreSQL can't run")]
    Postgres(#[from] PostgresError),
    #[cfg(feature = "embedded")]
    #[error("the embedded storage can't run")]
    Storage(#[from] StorageServerError),
    #[cfg(not(feature = "embedded"))]
    #[error("this build has no embedded database; set DATABASE_URL")]
    NoEmbeddedDatabase,
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("{path} can't hold the data; set TWOFOLD_DATA_DIR to a folder that can be written")]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("the database lacks {missing} migrations; run `twofold migrate up` first")]
    Schema { missing: usize },
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("there is no Redis in the settings; set REDIS_URL")]
    NoRedis,
    #[error("redis.url is of no use")]
    Redis(#[from] RedisError),
    #[error("mail can't be set up")]
    Mail(#[from] MailError),
    #[error("a service can't be set up")]
    Service(#[from] ServiceError),
}

impl StartError {
    /// Whether another process is in the way.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        match self {
            #[cfg(feature = "embedded")]
            Self::Postgres(error) => error.is_in_use(),
            #[cfg(feature = "embedded")]
            Self::Storage(error) => error.is_in_use(),
            Self::Listen(error) => error.is_in_use(),
            _ => false,
        }
    }

    /// Whether there is no database to be had.
    #[must_use]
    pub fn is_of_database(&self) -> bool {
        match self {
            #[cfg(feature = "embedded")]
            Self::Postgres(_) => true,
            #[cfg(not(feature = "embedded"))]
            Self::NoEmbeddedDatabase => true,
            Self::Migration(MigrationError::Connect(_)) => true,
            _ => false,
        }
    }
}
