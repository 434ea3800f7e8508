//! The sections of the settings; their fields mirror `config/default.toml`, which documents them.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use crate::server::{Listen, Network};

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

/// What is kept of the database's answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub enabled: bool,
    pub seconds: u32,
}

/// What is kept of what was done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    pub retention_months: u32,
}

/// What users may do with their accounts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    pub deletion_grace_days: u32,
}

/// The accounts of staff.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    pub invitation_hours: u32,
    pub require_second_factor: bool,
    pub impersonation_seconds: u32,
    pub impersonation_may_write: bool,
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
    pub public_endpoint: Option<String>,
    pub region: String,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<SecretString>,
    pub path_style: bool,
    pub prefix: Option<String>,
    /// Unset: nobody gets temporary credentials.
    pub role_arn: Option<String>,
    pub sts_endpoint: Option<String>,
}

/// What users may upload.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub quota_bytes: i64,
    pub quota_files: i64,
    pub upload_seconds: u32,
    pub download_seconds: u32,
    pub pending_hours: u32,
    pub single_max_bytes: i64,
    pub credentials_seconds: i32,
    pub direct_max_bytes: usize,
    pub direct_seconds: u32,
    pub avatar: FilePolicy,
    pub post_cover: FilePolicy,
    pub attachment: FilePolicy,
}

/// What files of a purpose may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePolicy {
    pub types: Vec<String>,
    pub max_bytes: i64,
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
