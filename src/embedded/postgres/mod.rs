//! A private PostgreSQL cluster as a child process.
//!
//! It listens on a Unix socket in a directory of mode 0700 only, writes durably, restarts when
//! it dies, and stops with this process, even with `kill -9`.

mod binaries;
mod place;
mod supervisor;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use binaries::Binaries;
pub use binaries::NoBinaries;
use place::{Place, open_to_append};
use supervisor::{START_LIMIT, Supervisor};

use super::child::Account;

/// The role and the database that the product uses.
const NAME: &str = "twofold";

/// Why the embedded PostgreSQL can't run. Each message tells what to do.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(transparent)]
    NoBinaries(#[from] NoBinaries),
    #[error(
        "another instance already uses {0}; stop it first, or set TWOFOLD_DATA_DIR to another folder"
    )]
    InUse(PathBuf),
    #[error(
        "{data} was made by PostgreSQL {made}, but the server found here is {found}; install PostgreSQL {made}, \
         or set TWOFOLD_DATA_DIR to another folder (the data are untouched)"
    )]
    WrongVersion { data: PathBuf, made: String, found: String },
    #[error("the database cluster can't be made: {0}")]
    Init(String),
    #[error("PostgreSQL did not start; the end of {log}:\n{tail}")]
    Start { log: PathBuf, tail: String },
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

impl PostgresError {
    /// Whether another instance is in the way.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::InUse(_))
    }
}

/// What a caller may choose.
#[derive(Debug, Clone)]
pub struct Options {
    /// This program's executable, see [`super::child::command`].
    pub own_binary: PathBuf,
    /// Server settings beside our own, as `name=value`.
    pub settings: Vec<String>,
}

/// A cluster that this process runs, or one that another process runs and this one may use.
pub struct Postgres {
    place: Place,
    supervisor: Option<Supervisor>,
    /// Held while we run the cluster; the system frees it when the process ends.
    lock: Option<File>,
}

impl Postgres {
    /// Makes the cluster below `folder` if there is none, and starts it. Returns when it accepts
    /// connections.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn start(folder: &Path, options: &Options) -> Result<Self, PostgresError> {
        let binaries = Binaries::find()?;
        let place = Place::prepare(folder)?;
        match lock(&place)? {
            Some(lock) => Self::run(&binaries, place, lock, options).await,
            None => Err(PostgresError::InUse(place.data().to_owned())),
        }
    }

    /// Uses the cluster that another process runs, or else starts it.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn attach_or_start(folder: &Path, options: &Options) -> Result<Self, PostgresError> {
        let binaries = Binaries::find()?;
        let place = Place::prepare(folder)?;
        let started = Instant::now();
        loop {
            if let Some(lock) = lock(&place)? {
                return Self::run(&binaries, place, lock, options).await;
            }
            // The other one may still be making it, or be about to end.
            if connect(&place, NAME).await.is_ok() {
                return Ok(Self { place, supervisor: None, lock: None });
            }
            if started.elapsed() > START_LIMIT {
                return Err(PostgresError::InUse(place.data().to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn run(
        binaries: &Binaries,
        place: Place,
        lock: File,
        options: &Options,
    ) -> Result<Self, PostgresError> {
        initialise(binaries, &place)?;
        stop_orphan(binaries, &place);
        let supervisor = Supervisor::start(binaries, &place, options).await?;
        let postgres = Self { place, supervisor: Some(supervisor), lock: Some(lock) };
        create_database(&postgres.place).await?;
        Ok(postgres)
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
        }
        self.lock = None;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How long connecting to a server on this machine may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// A connection as the product's role; it ends with the returned client.
async fn connect(
    place: &Place,
    database: &str,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(place.socket_dir()).user(NAME).dbname(database).connect_timeout(CONNECT_LIMIT);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn create_database(place: &Place) -> Result<(), PostgresError> {
    let create = async {
        let client = connect(place, "postgres").await?;
        let found = "SELECT 1 FROM pg_database WHERE datname = $1";
        if client.query_opt(found, &[&NAME]).await?.is_none() {
            client.batch_execute(&format!("CREATE DATABASE {NAME}")).await?;
        }
        Ok(())
    };
    create.await.map_err(|e: tokio_postgres::Error| PostgresError::Init(e.to_string()))
}

fn lock(place: &Place) -> Result<Option<File>, PostgresError> {
    let path = place.lock_file();
    let failed = |source| PostgresError::Io { what: "can't lock", path: path.clone(), source };
    let file = open_to_append(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// `initdb` under a temporary name, so that a kill leaves no half-made cluster.
fn initialise(binaries: &Binaries, place: &Place) -> Result<(), PostgresError> {
    let data = place.data();
    if let Ok(made) = fs::read_to_string(data.join("PG_VERSION")) {
        let (made, found) = (made.trim().to_owned(), binaries.major_version());
        return if made == found {
            Ok(())
        } else {
            Err(PostgresError::WrongVersion { data: data.to_owned(), made, found })
        };
    }
    let unfinished = place.unfinished_data();
    let io = |what, source| PostgresError::Io { what, path: unfinished.clone(), source };
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|e| io("can't remove", e))?;
    }
    // A UTF-8 character type lets searches fold the case of every letter; where the system has
    // no such locale, of ASCII only. Sorting by bytes is the same everywhere.
    initdb(binaries, place, "C.UTF-8").or_else(|_| initdb(binaries, place, "C"))?;
    fs::rename(&unfinished, data).map_err(|e| io("can't rename", e))
}

fn initdb(binaries: &Binaries, place: &Place, ctype: &str) -> Result<(), PostgresError> {
    let mut initdb = place.command(&binaries.initdb());
    initdb
        .args(["-U", NAME, "--auth=trust", "-E", "UTF8", "--no-instructions"])
        .args(["--locale=C", "--lc-ctype", ctype, "-D"])
        .arg(place.unfinished_data());
    let output = initdb.output().map_err(|e| PostgresError::Init(e.to_string()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(PostgresError::Init(reason.trim().to_owned()));
    }
    Ok(())
}

/// A server that outlived its parent (where the system sends no signal at its death) is stopped:
/// started again as our child it will end with us.
fn stop_orphan(binaries: &Binaries, place: &Place) {
    if UnixStream::connect(place.socket()).is_ok() || is_stopping(place) {
        let mut stop = place.command(&binaries.pg_ctl());
        stop.args(["stop", "-m", "fast", "-w", "-s", "-D"]).arg(place.data());
        if let Ok(output) = stop.output()
            && output.status.success()
        {
            tracing::info!("stopped a PostgreSQL that an earlier process had left running");
        }
    }
}

/// Whether the process that `postmaster.pid` names is this cluster's server, which may have closed
/// its socket already. The file alone proves nothing: the number may be a stranger's by now.
fn is_stopping(place: &Place) -> bool {
    let file = fs::read_to_string(place.data().join("postmaster.pid")).unwrap_or_default();
    let pid = file.lines().next().unwrap_or_default();
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.contains(&*place.data().to_string_lossy())
}

/// PostgreSQL refuses to run as root.
fn account_for_root() -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != name {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Account { uid, gid })
        })
    };
    find("postgres").or_else(|| find("nobody")).or(Some(Account { uid: 65534, gid: 65534 }))
}
