//! Tells workers in other processes that there are jobs, by NOTIFY.
//!
//! Never in the transaction that stores a job: NOTIFY holds a lock over all databases until the commit is
//! written, so that commits would wait for each other. A wake that is lost costs a second, for workers also
//! look by themselves.

use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use futures_util::future;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;

use crate::db::{
    Conn, DbError,
    connect::{Driver, connect, connect_and_hear},
};
use crate::telemetry::Chain;

/// A connection of its own, past any pooler: LISTEN belongs to a session.
pub struct Ear {
    conn: Conn,
    _driver: Driver,
    heard: Arc<Notify>,
}

/// A connection of its own.
pub struct Mouth {
    conn: Conn,
    _driver: Driver,
}

fn failed(error: &diesel::ConnectionError) -> DbError {
    DbError::Unavailable(Chain(error).to_string())
}

impl Ear {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn open(url: &SecretString) -> Result<Self, DbError> {
        let heard = Arc::new(Notify::new());
        let hear = {
            let heard = heard.clone();
            move |message| {
                if matches!(message, AsyncMessage::Notification(_)) {
                    heard.notify_one();
                }
            }
        };
        let connected = connect_and_hear(url.expose_secret(), None, future::pending(), hear);
        let (mut conn, driver) = connected.await.map_err(|error| failed(&error))?;
        conn.batch_execute("LISTEN twofold_jobs").await?;
        Ok(Self { conn, _driver: driver, heard })
    }

    /// Resolves when somebody tells that there are jobs.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }

    /// Whether the connection still lives.
    ///
    /// # Errors
    /// When it doesn't.
    pub async fn check(&mut self) -> Result<(), DbError> {
        Ok(self.conn.batch_execute("SELECT 'is anybody there?'").await?)
    }
}

impl Mouth {
    /// Begins to be able to tell.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn open(url: &SecretString) -> Result<Self, DbError> {
        let connected = connect(url.expose_secret(), None, future::pending()).await;
        let (mut conn, driver) = connected.map_err(|error| failed(&error))?;
        // Nothing is lost with a wake.
        conn.batch_execute("SET synchronous_commit = off").await?;
        Ok(Self { conn, _driver: driver })
    }

    /// Tells all who listen.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn tell(&mut self) -> Result<(), DbError> {
        Ok(self.conn.batch_execute("NOTIFY twofold_jobs").await?)
    }
}
