//! Settings in, a ready application out: the one place where everything is put together.

mod storage;

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use poem::{Endpoint, Response, Route};
use secrecy::{ExposeSecret, SecretString};

pub use storage::storage;

#[cfg(feature = "embedded")]
use crate::embedded::{
    postgres::{Options, Postgres, PostgresError},
    storage::StorageServerError,
};
use crate::{
    adapters::{clock::Clock, mailer::Mailer, random::Random, storage::Storage},
    api::{self, client::v1::config::PlatformRelease, middleware::edge::Limits},
    config::{self, RealmAuth, Settings},
    db::{Db, Logged, PoolSettings, SqlLog, sessions::Realm},
    server::{ListenError, Listener, TlsFiles},
    services::{
        Core, ServiceError,
        health::Health,
        mails::Mails,
        one_time_codes::CodeKey,
        passwords::Passwords,
        sessions::Sessions,
        tokens::{Tokens, hs256},
    },
    telemetry,
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
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("mail can't be set up")]
    Mail(#[from] crate::adapters::mailer::MailError),
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
        #[cfg(feature = "embedded")]
        return matches!(self, Self::Postgres(_));
        #[cfg(not(feature = "embedded"))]
        return matches!(self, Self::NoEmbeddedDatabase);
    }
}

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

    #[cfg(feature = "embedded")]
    async fn start_embedded(settings: &Settings, may_be_shared: bool) -> Result<Self, StartError> {
        let folder = prepare_data_dir(&settings.data_dir)?.join("postgres");
        let own_binary = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
        let options = Options { own_binary, settings: Vec::new() };
        let postgres = if may_be_shared {
            Postgres::attach_or_start(&folder, &options).await?
        } else {
            Postgres::start(&folder, &options).await?
        };
        let url = SecretString::from(postgres.url());
        Ok(Self { direct_url: url.clone(), url, embedded: Some(postgres) })
    }

    #[cfg(not(feature = "embedded"))]
    async fn start_embedded(_settings: &Settings, _shared: bool) -> Result<Self, StartError> {
        Err(StartError::NoEmbeddedDatabase)
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

/// Sets up the logs, with files if `files` says so and the settings don't say otherwise.
///
/// # Errors
/// When neither the folder of the settings nor one below the data directory can be written.
pub fn logging(settings: &Settings, files: bool) -> Result<telemetry::Guard, StartError> {
    let log = &settings.log;
    let options = telemetry::Options {
        filter: log.filter.clone(),
        json: log.format == config::LogFormat::Json,
        dir: (files && log.files).then(|| log.dir.clone()),
        retention_days: log.retention_days,
        is_development: settings.environment == config::Environment::Development,
    };
    telemetry::init(&options, &Clock::default()).map_err(|source| StartError::Io {
        what: "can't write logs to",
        path: log.dir.clone(),
        source,
    })
}

/// How often the files of the TLS certificate are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_mins(1);

/// Listens where the settings say.
///
/// # Errors
/// When the address is taken, or the TLS certificate is of no use.
pub async fn listener(settings: &Settings) -> Result<Listener, StartError> {
    let server = &settings.server;
    let files = server.tls_certificate_file.clone().zip(server.tls_key_file.clone());
    let tls = files.map(|(certificate, key)| TlsFiles {
        certificate,
        key,
        check_every: CERTIFICATE_CHECK,
    });
    Ok(Listener::bind(&server.listen, tls).await?)
}

/// Makes the services. Nothing is connected to yet.
///
/// # Errors
/// When a secret or the outbox can't be written, or a setting is of no use.
pub fn core(
    settings: &Settings,
    database: &Database,
    storage: Option<Storage>,
    clock: Clock,
) -> Result<Core, StartError> {
    hs256::install();
    let pool = &settings.database;
    // Behind a pooler sessions are shared: there the time-outs belong on the role.
    let statement_timeout =
        pool.direct_url.is_none().then(|| Duration::from_millis(pool.statement_timeout_ms));
    let pool = PoolSettings {
        max_size: pool.pool_max_size,
        min_idle: pool.pool_min_idle,
        max_lifetime: Duration::from_secs(pool.pool_max_lifetime_seconds),
        wait: Duration::from_millis(pool.pool_wait_ms),
        statement_timeout,
        sql_log: SqlLog {
            logged: match settings.log.sql {
                config::SqlLog::Off => Logged::None,
                config::SqlLog::Slow => Logged::SlowAndFailed,
                config::SqlLog::All => Logged::All,
            },
            slow: Duration::from_millis(settings.log.slow_statement_ms),
        },
    };
    let auth = &settings.auth;
    let client_secret = secret(settings, "client", &auth.client)?;
    let staff_secret = secret(settings, "backoffice", &auth.backoffice)?;
    let hashing = &settings.passwords;
    Ok(Core {
        db: Db::new(database.url.clone(), pool, clock.clone()),
        clock,
        random: Random,
        passwords: Passwords::new(hashing.memory_kib, hashing.iterations, hashing.parallelism)?,
        code_key: CodeKey::new(&client_secret),
        client_sessions: sessions(Realm::Client, &client_secret, &auth.client),
        staff_sessions: sessions(Realm::Backoffice, &staff_secret, &auth.backoffice),
        mails: Mails::new(mailer(settings)?)?,
        storage,
        health: Health::new(database.is_embedded(), settings.storage.bucket.is_none()),
    })
}

/// The HTTP side. `extra` holds routes beside ours: a product's own, or a test's.
pub fn application(
    settings: &Settings,
    core: Arc<Core>,
    extra: Route,
) -> impl Endpoint<Output = Response> + 'static {
    let releases = settings.release.iter().map(|(platform, release)| PlatformRelease {
        platform: platform.clone(),
        minimum_version: release.minimum_version.clone(),
        latest_version: release.latest_version.clone(),
        force_upgrade: release.force_upgrade,
    });
    let limits = Limits {
        timeout: Duration::from_millis(settings.server.request_timeout_ms),
        max_body_bytes: settings.server.max_body_bytes,
    };
    let public_url = settings.server.public_url.as_ref();
    let options = api::Options {
        limits,
        public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        docs: settings.docs.enabled,
        releases: releases.collect(),
    };
    api::application(core, options, extra)
}

fn sessions(realm: Realm, secret: &SecretString, auth: &RealmAuth) -> Sessions {
    Sessions {
        realm,
        tokens: Tokens::new(realm, secret),
        access: TimeDelta::seconds(auth.access_seconds.into()),
        idle: TimeDelta::seconds(auth.idle_seconds.into()),
        absolute: TimeDelta::seconds(auth.absolute_seconds.into()),
    }
}

fn mailer(settings: &Settings) -> Result<Mailer, StartError> {
    let mail = &settings.mail;
    if let Some(url) = &mail.smtp_url {
        return Ok(Mailer::smtp(&mail.from, url.expose_secret())?);
    }
    let folder = prepare_data_dir(&settings.data_dir)?.join("outbox");
    make_dir(&folder, 0o700)?;
    Ok(Mailer::outbox(&mail.from, folder)?)
}

fn secret(settings: &Settings, realm: &str, auth: &RealmAuth) -> Result<SecretString, StartError> {
    match &auth.secret {
        Some(secret) => Ok(secret.clone()),
        None => generated_secret(settings, realm),
    }
}

/// A secret that the first start writes below the data directory.
fn generated_secret(settings: &Settings, name: &str) -> Result<SecretString, StartError> {
    let folder = prepare_data_dir(&settings.data_dir)?.join("secrets");
    make_dir(&folder, 0o700)?;
    let path = folder.join(name);
    let failed = |what, source| StartError::Io { what, path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(secret) => return Ok(secret.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("can't read the secret in", error)),
    }
    let secret = Random.token();
    // Under another name first, so that a kill leaves no half-written secret.
    let unfinished = folder.join(format!("{name}.{}", std::process::id()));
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.create(true).write(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename it keeps the secret of a process that was faster.
        let linked = fs::hard_link(&unfinished, &path);
        fs::remove_file(&unfinished)?;
        match linked {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                fs::read_to_string(&path)
            }
            linked => linked.map(|()| secret.clone()),
        }
    };
    write().map(Into::into).map_err(|error| failed("can't write the secret in", error))
}

/// The data directory; others may pass through it (the embedded database's account must), not
/// list it.
fn prepare_data_dir(data_dir: &Path) -> Result<PathBuf, StartError> {
    make_dir(data_dir, 0o711)?;
    data_dir.canonicalize().map_err(|source| StartError::Io {
        what: "can't use the data directory",
        path: data_dir.to_owned(),
        source,
    })
}

/// Makes a directory; the rights of one that is there already are its owner's affair.
fn make_dir(dir: &Path, mode: u32) -> Result<(), StartError> {
    let make = || {
        if dir.is_dir() {
            return Ok(());
        }
        if let Some(above) = dir.parent() {
            fs::create_dir_all(above)?;
        }
        match fs::DirBuilder::new().mode(mode).create(dir) {
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
            made => made?,
        }
        // The mode above is subject to the umask.
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))
    };
    make().map_err(|source| StartError::Io { what: "can't create", path: dir.to_owned(), source })
}
