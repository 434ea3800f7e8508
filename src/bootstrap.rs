//! Settings in, a ready application out: the one place where everything is put together.

pub mod data_dir;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use poem::{Endpoint, Response, Route};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    adapters::{clock::Clock, mailer::Mailer, random::Random},
    api::{self, client::v1::config::PlatformRelease, middleware::edge::Limits},
    config::{self, RealmAuth, Settings},
    db::{Db, Logged, PoolSettings, SqlLog, sessions::Realm},
    embedded::postgres::{Options, Postgres, PostgresError},
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
    #[error("the embedded PostgreSQL can't run")]
    Postgres(#[from] PostgresError),
    #[error("{path} can't hold the data; set TWOFOLD_DATA_DIR to a folder that can be written")]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("mail can't be set up")]
    Mail(#[from] crate::adapters::mailer::MailError),
    #[error("a service can't be set up")]
    Service(#[from] ServiceError),
}

/// Which database there is, and the embedded one if it is that.
pub struct Database {
    /// For everything.
    pub url: SecretString,
    /// For migrations; past a pooler.
    pub direct_url: SecretString,
    embedded: Option<Postgres>,
}

impl Database {
    /// Uses the configured database, or starts the embedded one.
    ///
    /// # Errors
    /// When the embedded one can't run, or another process runs it.
    pub async fn open(settings: &Settings) -> Result<Self, StartError> {
        Self::open_as(settings, Postgres::start).await
    }

    /// The same, but also uses the embedded one that another process runs.
    ///
    /// # Errors
    /// When the embedded one can't run.
    pub async fn open_shared(settings: &Settings) -> Result<Self, StartError> {
        Self::open_as(settings, Postgres::attach_or_start).await
    }

    async fn open_as(
        settings: &Settings,
        start: impl AsyncFnOnce(&Path, &Options) -> Result<Postgres, PostgresError>,
    ) -> Result<Self, StartError> {
        if let Some(url) = &settings.database.url {
            let direct_url = settings.database.direct_url.as_ref().unwrap_or(url).clone();
            return Ok(Self { url: url.clone(), direct_url, embedded: None });
        }
        let options = Options {
            own_binary: std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into()),
            settings: Vec::new(),
            bin: settings.embedded.postgres_bin.clone(),
            fetch: settings.embedded.fetch,
        };
        let folder = data_dir(settings)?.join(POSTGRES);
        let postgres = start(&folder, &options).await?;
        let url = SecretString::from(postgres.url());
        Ok(Self { direct_url: url.clone(), url, embedded: Some(postgres) })
    }

    /// Whether it is the one that the product brings along.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// The error that [`Database::open`] would end with because another instance runs the embedded
    /// one. Makes nothing.
    #[must_use]
    pub fn in_use(settings: &Settings) -> Option<StartError> {
        if settings.database.url.is_some() {
            return None;
        }
        data_dir::candidates(&settings.data_dir, is_explicit(settings))
            .find_map(|dir| Postgres::in_use(&dir.join(POSTGRES)))
            .map(StartError::from)
    }

    /// Lets an instance that is refused tell where this one serves.
    pub fn announce(&self, address: &str) {
        if let Some(postgres) = &self.embedded {
            postgres.announce(address);
        }
    }

    /// Stops the embedded database.
    pub fn stop(&mut self) {
        if let Some(postgres) = &mut self.embedded {
            postgres.stop();
        }
    }
}

/// Sets up the logs, with files if `files` says so and the settings don't say otherwise.
///
/// # Errors
/// When neither the folder of the settings nor one below the data directory can be written.
pub fn logging(settings: &Settings, files: bool) -> Result<telemetry::Guard, StartError> {
    let log = &settings.log;
    let mut options = telemetry::Options {
        filter: log.filter.clone(),
        json: log.format == config::LogFormat::Json,
        dir: (files && log.files).then(|| log.dir.clone()),
        retention_days: log.retention_days,
        is_development: settings.environment == config::Environment::Development,
    };
    let clock = Clock::default();
    let failed = |path: &Path, source| StartError::Io {
        what: "can't write logs to",
        path: path.to_owned(),
        source,
    };
    match telemetry::init(&options, &clock) {
        Err(error) if data_dir::is_barred(&error) => {
            options.dir = Some(data_dir(settings)?.join("logs"));
            telemetry::init(&options, &clock).map_err(|_| failed(&log.dir, error))
        }
        outcome => outcome.map_err(|error| failed(&log.dir, error)),
    }
}

/// Makes the services. Nothing is connected to yet.
///
/// # Errors
/// When a secret or the outbox can't be written, or a setting is of no use.
pub fn core(settings: &Settings, database: &Database, clock: Clock) -> Result<Core, StartError> {
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
        health: Health::new(database.is_embedded()),
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
    let folder = data_dir(settings)?.join("outbox");
    data_dir::make_private_dir(&folder)?;
    Ok(Mailer::outbox(&mail.from, folder)?)
}

/// The configured secret, or one that the first start wrote below the data directory.
fn secret(settings: &Settings, realm: &str, auth: &RealmAuth) -> Result<SecretString, StartError> {
    match &auth.secret {
        Some(secret) => Ok(secret.clone()),
        None => data_dir::secret(&data_dir(settings)?, realm),
    }
}

/// The folder of the embedded database in the data directory.
const POSTGRES: &str = "postgres";

fn data_dir(settings: &Settings) -> Result<PathBuf, StartError> {
    data_dir::prepare(&settings.data_dir, is_explicit(settings))
}

/// Whether somebody chose the data directory.
fn is_explicit(settings: &Settings) -> bool {
    settings.data_dir != Path::new(".data")
}
