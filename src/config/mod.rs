//! Typed settings: defaults from `config/`, overridden layer by layer, checked as a whole.
//!
//! Only [`crate::bootstrap`] and the command line read them; every other part is handed
//! the few values that it needs. Adding one: a documented line in `config/default.toml`, a field
//! here, a line in `keys.rs`, and `twofold reference settings > docs/settings.md`.

mod check;
mod fault;
mod keys;
mod layers;
mod limits;
mod reference;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::server::{Listen, Network};

pub use fault::{ConfigError, Fault};
use keys::Key;
use layers::{CONFIG_DIR, ENVIRONMENT, Layers, Source, TomlFile, Value};
pub use limits::{Limits, Tries};
pub use reference::reference;

const DEFAULT: &str = include_str!("../../config/default.toml");
const DEVELOPMENT: &str = include_str!("../../config/development.toml");
const TEST: &str = include_str!("../../config/test.toml");
const PREVIEW: &str = include_str!("../../config/preview.toml");
const PRODUCTION: &str = include_str!("../../config/production.toml");

/// The kind of place the process runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// On somebody's own machine.
    #[default]
    Development,
    /// Under automated tests.
    Test,
    /// For others to look at: as open as development, with real services.
    Preview,
    /// For users: nothing unsafe, nothing embedded.
    Production,
}

impl Environment {
    const ALL: [Self; 4] = [Self::Development, Self::Test, Self::Preview, Self::Production];
    const NAMES: &str = "development, test, preview or production";

    /// The file with what it changes: its name and its text.
    const fn built_in(self) -> (&'static str, &'static str) {
        match self {
            Self::Development => ("config/development.toml", DEVELOPMENT),
            Self::Test => ("config/test.toml", TEST),
            Self::Preview => ("config/preview.toml", PREVIEW),
            Self::Production => ("config/production.toml", PRODUCTION),
        }
    }
}

impl FromStr for Environment {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.to_string() == name).ok_or(())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Preview => "preview",
            Self::Production => "production",
        })
    }
}

/// All settings; the fields mirror `config/default.toml`, which documents them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(skip)]
    pub environment: Environment,
    /// Whether somebody chose the data directory.
    #[serde(skip)]
    pub has_own_data_dir: bool,
    /// The same of the folder for logs.
    #[serde(skip)]
    pub has_own_log_dir: bool,
    pub data_dir: PathBuf,
    pub server: Server,
    pub cors: Cors,
    pub database: Database,
    pub embedded: Embedded,
    pub auth: Auth,
    pub passwords: Passwords,
    pub accounts: Accounts,
    pub limits: Limits,
    pub mail: Mail,
    pub jobs: Jobs,
    pub storage: Storage,
    pub redis: Redis,
    pub log: Log,
    #[serde(default)]
    pub metrics: Metrics,
    pub docs: Docs,
    pub release: BTreeMap<String, Release>,
}

/// Where and how HTTP is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: Listen,
    /// Both or none: without them there is no TLS.
    pub tls_certificate_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    pub public_url: Option<String>,
    pub trusted_proxies: Vec<Network>,
    pub forwarded_header: ForwardedHeader,
    /// Unset: as many as the cores can do.
    pub max_in_flight: Option<usize>,
    pub queue_wait_ms: u64,
    pub max_body_bytes: usize,
    pub request_timeout_ms: u64,
    pub max_connections: usize,
    pub read_timeout_ms: u64,
    pub write_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub shutdown_delay_ms: u64,
    pub drain_timeout_ms: u64,
}

/// Where proxies say whom they speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    XForwardedFor,
    Forwarded,
}

/// From which other origins browsers may use each API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    pub client_origins: Vec<String>,
    pub backoffice_origins: Vec<String>,
}

/// PostgreSQL and the pool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Unset: a private PostgreSQL under `data_dir`.
    pub url: Option<SecretString>,
    pub direct_url: Option<SecretString>,
    pub pool_max_size: u32,
    pub pool_min_idle: u32,
    pub pool_max_lifetime_seconds: u64,
    pub pool_wait_ms: u64,
    pub statement_timeout_ms: u64,
}

/// The private PostgreSQL and S3 server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    pub postgres_bin: Option<PathBuf>,
    pub fetch: bool,
    pub storage_port: u16,
}

/// Tokens and sessions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Unset: the one of [`Self::client`].
    pub data_secret: Option<SecretString>,
    pub client: RealmAuth,
    pub backoffice: RealmAuth,
}

/// Tokens and sessions of one realm.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealmAuth {
    pub secret: Option<SecretString>,
    pub access_seconds: u32,
    pub idle_seconds: u32,
    pub absolute_seconds: u32,
}

/// Which passwords may be set, and how they are hashed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    pub min_length: usize,
    pub min_length_with_second_factor: usize,
    /// Unset: there is none.
    pub pepper: Option<SecretString>,
    /// Unset: the pepper was never another one.
    pub previous_pepper: Option<SecretString>,
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

/// What users may do with their accounts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    pub deletion_grace_days: u32,
}

/// How mail is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Unset, as is Brevo's key: mails go to the outbox under `data_dir`.
    pub smtp_url: Option<SecretString>,
    pub brevo_api_key: Option<SecretString>,
    pub brevo_url: String,
    pub first: MailTransport,
    pub from: String,
    /// Unset: as fast as can be.
    pub rate_per_second: Option<u32>,
}

/// A way to send mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTransport {
    Smtp,
    Brevo,
}

/// Work that no request waits for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    pub in_process: bool,
    pub slots: usize,
    pub pool_max_size: u32,
    pub heartbeat_ms: u64,
    pub history_days: u32,
}

/// Where files are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Unset: an S3 server under `data_dir`, or no storage.
    pub bucket: Option<String>,
    pub endpoint: Option<String>,
    pub region: String,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<SecretString>,
    pub path_style: bool,
    pub prefix: Option<String>,
}

/// Where Redis is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Unset: there is none.
    pub url: Option<SecretString>,
    pub key_prefix: String,
}

/// What is logged, how and where.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
    pub sinks: Vec<LogSink>,
    pub dir: PathBuf,
    pub retention_days: u32,
    pub sql: SqlLog,
    pub slow_statement_ms: u64,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSink {
    /// What the process prints, on standard error.
    Stdout,
    /// A file for each day.
    File,
    /// A stream, from which they are collected into files.
    Redis,
}

/// Which SQL statements are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlLog {
    Off,
    /// Those that take longer than the limit, and those that fail.
    Slow,
    All,
}

/// Numbers for Prometheus.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Unset: there are none.
    pub listen: Option<Listen>,
}

/// Pages for people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docs {
    pub enabled: bool,
    pub staff_sign_in: bool,
}

/// What an app on one platform must know before it goes on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub minimum_version: String,
    pub latest_version: String,
    pub force_upgrade: bool,
}

/// One setting as it is in effect.
#[derive(Debug, Serialize)]
pub struct Effective {
    pub key: String,
    /// `None` for a secret, which is not shown, and for what isn't set.
    pub value: Option<serde_json::Value>,
    /// `None` for what isn't set.
    pub source: Option<String>,
}

/// The settings and where they come from.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub effective: Vec<Effective>,
}

impl Settings {
    /// Reads all layers as the process finds them.
    ///
    /// # Errors
    /// Every fault that was found, each with the key and where its value came from.
    pub fn load() -> Result<Loaded, ConfigError> {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        load(Some(Path::new("")), &std::env::vars_os().filter_map(text).collect())
    }

    /// Built-in defaults and the given variables only: for tests.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        load(None, &variables.into_iter().collect()).map(|loaded| loaded.settings)
    }
}

/// `folder` is where the program was started, with its `.env` and `config/`.
fn load(
    folder: Option<&Path>,
    variables: &BTreeMap<String, String>,
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    let dot_env = folder.map(|folder| layers.read_dot_env(folder)).unwrap_or_default();
    let chosen = |name: &str| {
        let here =
            variables.get(name).map(|text| (text.clone(), Source::Variable(name.to_owned())));
        here.or_else(|| Some((dot_env.get(name)?.clone(), Source::DotEnv(name.to_owned()))))
    };

    // Empty is no environment either: it must not open what production closes.
    let environment = match chosen(ENVIRONMENT) {
        None => Environment::default(),
        Some((name, source)) => name.parse().unwrap_or_else(|()| {
            let remedy = format!("use {}", Environment::NAMES);
            let fault = Fault::new(ENVIRONMENT, Some(source), "is no environment", remedy);
            layers.faults.push(fault);
            Environment::default()
        }),
    };
    let folder = match (folder, chosen(CONFIG_DIR).filter(|(dir, _)| !dir.is_empty())) {
        (Some(_), Some((dir, source))) => {
            let dir = PathBuf::from(dir);
            if !dir.is_dir() {
                let remedy = "give the folder that holds the TOML files";
                let fault = Fault::new(CONFIG_DIR, Some(source), "is no folder", remedy);
                layers.faults.push(fault);
            }
            Some(dir)
        }
        (Some(folder), None) => Some(folder.join("config")),
        (None, _) => None,
    };

    for (file, text) in [("config/default.toml", DEFAULT), environment.built_in()] {
        layers.add_file(&TomlFile { text, at_line: &|line| Source::BuiltIn { file, line } });
        if let Some(folder) = &folder {
            let name = Path::new(file).file_name().unwrap_or_default();
            layers.add_file_of(&folder.join(name), text);
        }
    }
    if let Some(folder) = &folder {
        layers.add_file_of(&folder.join("local.toml"), "");
    }
    // What the process is given overrides the file, variable by variable and in either form.
    let overridden = |name: &String| {
        let twin = name.strip_suffix("_FILE").map_or_else(|| format!("{name}_FILE"), str::to_owned);
        let is_given = |name: &String| variables.get(name).is_some_and(|text| !text.is_empty());
        is_given(name) || is_given(&twin)
    };
    let dot_env = dot_env.into_iter().filter(|(name, _)| !overridden(name)).collect();
    layers.add_variables(&dot_env, |name| Source::DotEnv(name.to_owned()));
    layers.add_variables(variables, |name| Source::Variable(name.to_owned()));
    layers.require_groups();
    finish(environment, layers)
}

fn finish(environment: Environment, mut layers: Layers) -> Result<Loaded, ConfigError> {
    let mut table = toml::Table::new();
    for (name, entry) in &layers.entries {
        insert(&mut table, name, entry.value.clone());
    }
    // Each value has been checked: what fails here is an incomplete group, or a fault of ours.
    let is_own = |name: &str| {
        let entry = layers.entries.get(name);
        entry.is_some_and(|entry| !matches!(entry.source, Source::BuiltIn { .. }))
    };
    let settings = table.try_into::<Settings>().map(|settings| Settings {
        environment,
        has_own_data_dir: is_own("data_dir"),
        has_own_log_dir: is_own("log.dir"),
        ..settings
    });
    match &settings {
        Ok(settings) => {
            let broken = check::check(settings, &layers);
            layers.faults.extend(broken);
        }
        Err(error) if layers.faults.is_empty() => {
            let problem = error.message().to_owned();
            layers.faults.push(Fault::new("(all)", None, problem, "report this fault of Twofold"));
        }
        Err(_) => {}
    }
    let names: BTreeSet<String> = keys::names().chain(layers.entries.keys().cloned()).collect();
    let effective = names.into_iter().map(|key| {
        let entry = layers.entries.get(&key);
        let is_secret = Key::find(&key).is_none_or(|key| key.kind.is_secret());
        let value = entry.filter(|_| !is_secret).map(|entry| serde_json::json!(entry.value));
        Effective { key, value, source: entry.map(|entry| entry.source.to_string()) }
    });
    match settings {
        Ok(settings) if layers.faults.is_empty() => {
            Ok(Loaded { settings, effective: effective.collect() })
        }
        _ => Err(ConfigError { faults: layers.faults }),
    }
}

/// Puts a value where its dotted name says.
fn insert(table: &mut toml::Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner =
                table.entry(section.to_owned()).or_insert_with(|| Value::Table(toml::Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
