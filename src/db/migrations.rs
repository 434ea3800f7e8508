//! The schema's versions, compiled in. Ten replicas may start at once: a lock lets one go first.

use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::future;
use secrecy::{ExposeSecret, SecretString};

use super::connect::connect;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The key of the advisory lock that a migrating process holds; "twofold" in ASCII.
const LOCK: i64 = 0x0074_776f_666f_6c64;

/// Why the schema could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("can't connect to the database")]
    Connect(#[from] diesel::ConnectionError),
    #[error("can't take the migration lock")]
    Lock(#[from] diesel::result::Error),
    #[error("a migration failed")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    pub version: String,
    pub applied: bool,
}

/// Applies what is missing, and returns the versions applied.
///
/// # Errors
/// The first failure; earlier migrations stay applied.
pub async fn up(url: &SecretString) -> Result<Vec<String>, MigrationError> {
    locked(url, |harness| {
        Ok(harness.run_pending_migrations(MIGRATIONS)?.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Where the application's role is another one than the owner of the tables, lets it do what it needs: of the
/// audit log no more than to read it and to record.
///
/// # Errors
/// When the database can't be reached, or doesn't let the owner.
pub async fn grant(owner: &SecretString, application: &SecretString) -> Result<(), MigrationError> {
    let user = |url: &SecretString| {
        let config: Option<tokio_postgres::Config> = url.expose_secret().parse().ok();
        config.and_then(|config| config.get_user().map(str::to_owned))
    };
    let Some(role) = user(application).filter(|role| user(owner).as_ref() != Some(role)) else {
        return Ok(());
    };
    let (mut conn, _driver) = connect(owner.expose_secret(), None, future::pending()).await?;
    let grant = diesel::sql_query("SELECT grant_to_application($1)");
    grant.bind::<diesel::sql_types::Text, _>(role).execute(&mut conn).await?;
    Ok(())
}

/// Reverts the newest migration, and returns its version; `None` when there is none.
///
/// # Errors
/// When its `down.sql` failed; nothing is changed then.
pub async fn down(url: &SecretString) -> Result<Option<String>, MigrationError> {
    locked(url, |harness| {
        if harness.applied_migrations()?.is_empty() {
            return Ok(None);
        }
        Ok(Some(harness.revert_last_migration(MIGRATIONS)?.to_string()))
    })
    .await
}

/// All migrations in order.
///
/// # Errors
/// When the database can't be asked.
pub async fn status(url: &SecretString) -> Result<Vec<Status>, MigrationError> {
    locked(url, |harness| {
        let mut all: Vec<Status> = harness
            .applied_migrations()?
            .iter()
            .map(|version| Status { version: version.to_string(), applied: true })
            .collect();
        all.extend(harness.pending_migrations(MIGRATIONS)?.iter().map(|migration| Status {
            version: migration.name().version().to_string(),
            applied: false,
        }));
        all.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(all)
    })
    .await
}

/// Runs `work` on a connection of its own under the lock, which ends with the connection.
async fn locked<T>(
    url: &SecretString,
    work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> diesel::migration::Result<T>,
) -> Result<T, MigrationError> {
    let (mut conn, _driver) = connect(url.expose_secret(), None, future::pending()).await?;
    // A limit on the role is for requests; a migration, and waiting for another, may take longer.
    conn.batch_execute("SET statement_timeout = 0").await?;
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<diesel::sql_types::BigInt, _>(LOCK)
        .execute(&mut conn)
        .await?;
    work(&mut AsyncMigrationHarness::new(conn)).map_err(MigrationError::Run)
}
