//! A private PostgreSQL cluster as a child process.
//!
//! It listens on a Unix socket in a directory of mode 0700 only, writes durably, restarts when
//! it dies, and stops with this process, even with `kill -9`.

mod advice;
mod binaries;
mod cluster;
mod error;
pub mod fetch;
mod lock;
mod place;
mod supervisor;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub use advice::NoBinaries;
use binaries::Binaries;
pub use error::PostgresError;
pub use lock::Holder;
use lock::Lock;
use place::Place;
use supervisor::{START_LIMIT, Supervisor};

/// The role and the database that the product uses.
const NAME: &str = "twofold";

/// What a caller may choose.
#[derive(Debug, Clone)]
pub struct Options {
    /// This program's executable, see [`super::child::command`].
    pub own_binary: PathBuf,
    /// Server settings beside our own, as `name=value`.
    pub settings: Vec<String>,
    /// The directory with `postgres`, `initdb` and `pg_ctl` to prefer.
    pub bin: Option<PathBuf>,
    /// Whether binaries are fetched where there are none of use.
    pub fetch: bool,
}

/// A cluster that this process runs, or one that another process runs and this one may use.
pub struct Postgres {
    place: Place,
    supervisor: Option<Supervisor>,
    lock: Option<Lock>,
}

impl Postgres {
    /// Makes the cluster below `folder` if there is none, and starts it. Returns when it accepts
    /// connections.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn start(folder: &Path, options: &Options) -> Result<Self, PostgresError> {
        let place = Place::prepare(folder)?;
        match take_lock(&place)? {
            Ok(lock) => Self::run(place, lock, options).await,
            Err(holder) => Err(PostgresError::InUse { folder: folder.to_owned(), holder }),
        }
    }

    /// Uses the cluster that another process runs, or else starts it.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn attach_or_start(folder: &Path, options: &Options) -> Result<Self, PostgresError> {
        let place = Place::prepare(folder)?;
        let started = Instant::now();
        loop {
            let holder = match take_lock(&place)? {
                Ok(lock) => return Self::run(place, lock, options).await,
                Err(holder) => holder,
            };
            // The other one may still be making it, or be about to end.
            if cluster::connect(&place, NAME).await.is_ok() {
                return Ok(Self { place, supervisor: None, lock: None });
            }
            if started.elapsed() > START_LIMIT {
                return Err(PostgresError::InUse { folder: folder.to_owned(), holder });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The error that [`Postgres::start`] would end with now because another process runs the
    /// cluster. Makes nothing.
    #[must_use]
    pub fn in_use(folder: &Path) -> Option<PostgresError> {
        let holder = Holder::of(&Place::lock_file_of(folder)?)?;
        Some(PostgresError::InUse { folder: folder.to_owned(), holder })
    }

    async fn run(place: Place, lock: Lock, options: &Options) -> Result<Self, PostgresError> {
        let binaries = binaries_for(&place, options).await?;
        cluster::initialise(&binaries, &place, &options.own_binary)?;
        cluster::stop_orphan(&binaries, &place);
        let supervisor = Supervisor::start(&binaries, &place, options).await?;
        let postgres = Self { place, supervisor: Some(supervisor), lock: Some(lock) };
        cluster::create_database(&postgres.place).await?;
        Ok(postgres)
    }

    /// Lets an instance that is refused tell where this one serves.
    pub fn announce(&self, address: &str) {
        if let Some(Err(error)) = self.lock.as_ref().map(|lock| lock.announce(address)) {
            tracing::debug!(%error, "other instances won't know the address of this one");
        }
    }

    /// The connection string of the product's database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// The connection string of another database in this cluster.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let socket = self.place.socket_dir().to_string_lossy();
        let socket = socket.replace('\\', "\\\\").replace('\'', "\\'");
        format!("host='{socket}' user={NAME} dbname={database} sslmode=disable")
    }

    /// Where the cluster's data are.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.place.data()
    }

    /// The process id of the server while it runs under this process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.supervisor.as_ref().and_then(Supervisor::pid)
    }

    /// Stops the server without waiting for its clients; nothing that was committed is lost.
    pub fn stop(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.stop();
            self.place.remove_socket_dir();
        }
        self.lock = None;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn take_lock(place: &Place) -> Result<Result<Lock, Holder>, PostgresError> {
    let path = place.lock_file();
    Lock::take(&path).map_err(PostgresError::io("can't lock", &path))
}

/// The binaries of this machine that the cluster needs, or else fetched ones.
async fn binaries_for(place: &Place, options: &Options) -> Result<Binaries, PostgresError> {
    let (account, chosen) = (place.account(), options.bin.as_deref());
    let cache = fetch::cache(place.base(), account);
    let found = binaries::find(chosen, &cache, account);
    let made = place.made_by();
    if let Some(binaries) = binaries::choose(&found, made.as_deref()) {
        return Ok(binaries);
    }
    let would_fit = made.as_deref().is_none_or(|made| made == fetch::MAJOR.to_string());
    let mut attempts = fetch::Attempts::default();
    if options.fetch && chosen.is_none() && would_fit {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own_binary = options.own_binary.clone();
        match fetch::fetch(fetch::Request { cache, path, account, own_binary }).await {
            Ok(dir) => match Binaries::at(&dir, account) {
                Some(binaries) => return Ok(binaries),
                None => attempts.0.push(fetch::FetchError::Incomplete { dir }),
            },
            Err(failed) => attempts = failed,
        }
    }
    Err(match made {
        Some(made) if (!would_fit && chosen.is_none()) || !found.is_empty() => {
            let data = place.data().to_owned();
            PostgresError::WrongVersion { data, made, found: binaries::list(&found), attempts }
        }
        _ => NoBinaries { chosen: options.bin.clone(), found, attempts }.into(),
    })
}
