//! Which database there is.

use secrecy::SecretString;

use super::StartError;
use crate::config::Settings;
#[cfg(feature = "embedded")]
use crate::embedded::postgres::{Options, Postgres};

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

    /// Nobody asks.
    pub fn announce(&self, _address: &str) {}
}
