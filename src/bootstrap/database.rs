//! Which database there is.

use std::path::PathBuf;

use secrecy::SecretString;

use super::StartError;
#[cfg(feature = "embedded")]
use crate::embedded::postgres::{Options, Postgres};
use crate::{
    config::Settings,
    db::migrations::{self, MigrationError},
};

/// Where the embedded cluster is below the data directory.
#[cfg(feature = "embedded")]
const POSTGRES: &str = "postgres";

/// A build without the embedded parts never has one.
#[cfg(not(feature = "embedded"))]
type Postgres = std::convert::Infallible;

/// Which database there is, and the embedded one if it is that.
pub struct Database {
    /// For everything.
    pub url: SecretString,
    /// For migrations; past a pooler.
    pub direct_url: SecretString,
    /// Stops when dropped.
    embedded: Option<Postgres>,
}

impl Database {
    /// Uses the configured database, or starts the embedded one.
    ///
    /// # Errors
    /// When the embedded one can't run, or another process runs it.
    pub async fn open(settings: &Settings) -> Result<Self, StartError> {
        match Self::configured(settings) {
            Some(database) => Ok(database),
            None => Self::start_embedded(settings, false).await,
        }
    }

    /// The same, but also uses the embedded one that another process runs.
    ///
    /// # Errors
    /// When the embedded one can't run.
    pub async fn open_shared(settings: &Settings) -> Result<Self, StartError> {
        match Self::configured(settings) {
            Some(database) => Ok(database),
            None => Self::start_embedded(settings, true).await,
        }
    }

    fn configured(settings: &Settings) -> Option<Self> {
        let url = settings.database.url.clone()?;
        let direct_url = settings.database.direct_url.clone().unwrap_or_else(|| url.clone());
        Some(Self { url, direct_url, embedded: None })
    }

    /// Applies what is missing, lets the role of the first address use what there is where it isn't the owner's,
    /// and returns the versions applied.
    ///
    /// # Errors
    /// When the database can't be reached, or a migration fails.
    pub async fn migrate(&self) -> Result<Vec<String>, MigrationError> {
        let applied = migrations::up(&self.direct_url).await?;
        migrations::grant(&self.direct_url, &self.url).await?;
        Ok(applied)
    }

    /// Brings the embedded one's schema up to date; of one that was configured only checks it, for
    /// its schema is its operator's to change.
    ///
    /// # Errors
    /// When migrations are missing, or the database can't be asked.
    pub async fn prepare_schema(&self) -> Result<(), StartError> {
        if self.is_embedded() {
            self.migrate().await?;
            return Ok(());
        }
        let all = migrations::status(&self.direct_url).await?;
        match all.iter().filter(|migration| !migration.applied).count() {
            0 => Ok(()),
            missing => Err(StartError::Schema { missing }),
        }
    }

    /// Whether it is the one that the product brings along.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Stops the embedded database.
    pub fn stop(&mut self) {
        self.embedded = None;
    }
}

#[cfg(feature = "embedded")]
impl Database {
    async fn start_embedded(settings: &Settings, may_be_shared: bool) -> Result<Self, StartError> {
        let folder = super::data_dir(settings)?.join(POSTGRES);
        let options = Options {
            own_binary: std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into()),
            settings: Vec::new(),
            bin: settings.embedded.postgres_bin.clone(),
            fetch: settings.embedded.fetch,
        };
        let postgres = if may_be_shared {
            Postgres::attach_or_start(&folder, &options).await?
        } else {
            Postgres::start(&folder, &options).await?
        };
        let url = SecretString::from(postgres.url());
        Ok(Self { direct_url: url.clone(), url, embedded: Some(postgres) })
    }

    /// The error that [`Database::open`] would end with because another instance runs the embedded
    /// one. Makes nothing.
    #[must_use]
    pub fn in_use(settings: &Settings) -> Option<StartError> {
        if settings.database.url.is_some() {
            return None;
        }
        super::data_dirs(settings)
            .find_map(|dir| Postgres::in_use(&dir.join(POSTGRES)))
            .map(StartError::from)
    }

    /// Where the embedded cluster is, unless it is below the data directory: that of root may be
    /// out of its server's reach.
    ///
    /// # Errors
    /// When the data directory can't be used.
    pub fn folder_elsewhere(&self, settings: &Settings) -> Result<Option<PathBuf>, StartError> {
        let Some(postgres) = &self.embedded else { return Ok(None) };
        let data_dir = super::data_dir(settings)?;
        Ok(Some(postgres.data().to_owned()).filter(|data| !data.starts_with(data_dir)))
    }

    /// Lets an instance that is refused tell where this one serves.
    pub fn announce(&self, address: &str) {
        if let Some(postgres) = &self.embedded {
            postgres.announce(address);
        }
    }
}

#[cfg(not(feature = "embedded"))]
impl Database {
    async fn start_embedded(_settings: &Settings, _shared: bool) -> Result<Self, StartError> {
        Err(StartError::NoEmbeddedDatabase)
    }

    /// There is nothing that two instances could share.
    #[must_use]
    pub fn in_use(_settings: &Settings) -> Option<StartError> {
        None
    }

    /// There is none.
    ///
    /// # Errors
    /// Never.
    pub fn folder_elsewhere(&self, _settings: &Settings) -> Result<Option<PathBuf>, StartError> {
        Ok(None)
    }

    /// Nobody asks.
    pub fn announce(&self, _address: &str) {}
}
