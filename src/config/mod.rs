//! Typed settings: defaults from `config/`, overridden by the environment, checked as a whole.
//!
//! Only [`crate::bootstrap`] and the command line read them; every other part is handed
//! the few values that it needs.

mod check;

use std::{
    collections::BTreeMap, ffi::OsString, fmt, net::SocketAddr, path::PathBuf, str::FromStr,
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};
use secrecy::SecretString;
use serde::Deserialize;

pub use check::ConfigError;

const DEFAULT: &str = include_str!("../../config/default.toml");
const PRODUCTION: &str = include_str!("../../config/production.toml");

/// Variables with a name of their own, because every tool knows them.
const WELL_KNOWN: [(&str, &str); 3] = [
    ("DATABASE_URL", "database.url"),
    ("DATABASE_DIRECT_URL", "database.direct_url"),
    ("SMTP_URL", "mail.smtp_url"),
];

/// The kind of place the process runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    Development,
    Test,
    Preview,
    Production,
}

impl FromStr for Environment {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "development" => Ok(Self::Development),
            "test" => Ok(Self::Test),
            "preview" => Ok(Self::Preview),
            "production" => Ok(Self::Production),
            other => Err(ConfigError::one(format!(
                "TWOFOLD_ENV is \"{other}\"; use development, test, preview or production"
            ))),
        }
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
    #[serde(skip, default = "development")]
    pub environment: Environment,
    pub data_dir: PathBuf,
    pub server: Server,
    pub database: Database,
    pub auth: Auth,
    pub passwords: Passwords,
    pub mail: Mail,
    pub log: Log,
    pub docs: Docs,
    pub release: BTreeMap<String, Release>,
}

fn development() -> Environment {
    Environment::Development
}

/// Where and how HTTP is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    pub max_body_bytes: usize,
    pub request_timeout_ms: u64,
    pub drain_timeout_ms: u64,
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

/// Tokens and sessions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
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

/// Parameters of Argon2id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

/// How mail is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Unset: mails go to the outbox under `data_dir`.
    pub smtp_url: Option<SecretString>,
    pub from: String,
}

/// What is logged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub filter: String,
}

/// Pages for people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docs {
    pub enabled: bool,
}

/// What an app on one platform must know before it goes on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub minimum_version: String,
    pub latest_version: String,
    pub force_upgrade: bool,
}

impl Settings {
    /// Reads defaults, the environment's file and the variables of this process.
    ///
    /// # Errors
    /// Every fault that was found, each with the key and where its value came from.
    pub fn load() -> Result<Self, ConfigError> {
        // Variables that aren't text can't be ours.
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::from_variables(std::env::vars_os().filter_map(text))
    }

    /// The same from the given variables, so that it can be tested.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        let environment = match variables.get("TWOFOLD_ENV") {
            Some(name) => name.parse()?,
            None => Environment::Development,
        };
        let mut figment = Figment::from(Toml::string(DEFAULT));
        if environment == Environment::Production {
            figment = figment.merge(Toml::string(PRODUCTION));
        }
        let defaults = figment.clone();
        for (name, text) in &variables {
            let key = match WELL_KNOWN.iter().find(|(known, _)| known == name) {
                Some((_, key)) => (*key).to_owned(),
                None => match name.strip_prefix("TWOFOLD_") {
                    // Kubernetes sets such for a service that is called twofold.
                    Some(path) if path.starts_with("SERVICE_") || path.starts_with("PORT") => {
                        continue;
                    }
                    Some(path) if name != "TWOFOLD_ENV" => path.to_lowercase().replace("__", "."),
                    _ => continue,
                },
            };
            let default = defaults.find_value(&key).ok();
            figment =
                figment.merge(Variable { name, key: &key, value: typed(text, default.as_ref()) });
        }
        let mut settings: Self = figment.extract().map_err(ConfigError::from)?;
        settings.environment = environment;
        check::check(&settings)?;
        Ok(settings)
    }
}

/// One environment variable as a source of its own, so that an error names it.
struct Variable<'a> {
    name: &'a str,
    key: &'a str,
    value: Value,
}

/// The text as the type that the default has; settings without a default are texts.
fn typed(text: &str, default: Option<&Value>) -> Value {
    let typed = match default {
        Some(Value::Num(..)) => text.parse::<i64>().ok().map(Value::from),
        Some(Value::Bool(..)) => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    typed.unwrap_or_else(|| Value::from(text))
}

impl Provider for Variable<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let data = nest(self.key, self.value.clone()).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::from_variables(
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn defaults_are_complete_and_follow_the_mission() {
        let settings = load(&[]).expect("defaults");
        assert_eq!(settings.environment, Environment::Development);
        assert_eq!(settings.database.pool_max_size, 30);
        assert!(settings.database.pool_min_idle > 0);
        assert_eq!(settings.database.pool_max_lifetime_seconds, 30 * 60);
        assert_eq!(settings.database.pool_wait_ms, 1000);
        assert_eq!(settings.auth.client.access_seconds, 30 * 60);
        assert_eq!(settings.auth.client.idle_seconds, 7 * 24 * 3600);
        assert_eq!(settings.auth.backoffice.idle_seconds, 3600);
        assert_eq!(settings.auth.backoffice.absolute_seconds, 24 * 3600);
    }

    #[test]
    fn variables_override_defaults() {
        let settings = load(&[
            ("DATABASE_URL", "postgresql://u@h/d"),
            ("TWOFOLD_SERVER__LISTEN", "127.0.0.1:9"),
            ("TWOFOLD_DATABASE__POOL_MAX_SIZE", "7"),
            ("TWOFOLD_DOCS__ENABLED", "false"),
            ("UNRELATED", "x"),
            ("TWOFOLD_SERVICE_HOST", "10.0.0.1"),
            ("TWOFOLD_PORT_8001_TCP", "tcp://10.0.0.1:8001"),
        ])
        .expect("valid");
        assert_eq!(settings.database.url.expect("set").expose_secret(), "postgresql://u@h/d");
        assert_eq!(settings.server.listen.port(), 9);
        assert_eq!(settings.database.pool_max_size, 7);
        assert!(!settings.docs.enabled);
    }

    #[test]
    fn a_fault_names_key_and_source() {
        let error = load(&[("TWOFOLD_SERVER__LISTEN", "nonsense")]).expect_err("bad").to_string();
        assert!(error.contains("server.listen"), "{error}");
        assert!(error.contains("TWOFOLD_SERVER__LISTEN"), "{error}");
        let error = load(&[("TWOFOLD_SERVER__PROT", "1")]).expect_err("unknown").to_string();
        assert!(error.contains("prot"), "{error}");
        assert!(load(&[("TWOFOLD_ENV", "prod")]).is_err());
    }

    #[test]
    fn a_fault_never_prints_the_value() {
        let misplaced = ("TWOFOLD_DATABASE__POOL_MAX_SIZE", "postgresql://u:secret@h/d");
        let error = load(&[misplaced]).expect_err("no number").to_string();
        assert!(error.contains("database.pool_max_size") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_text_of_digits_stays_a_text() {
        let digits = "1".repeat(32);
        let settings = load(&[
            ("TWOFOLD_AUTH__CLIENT__SECRET", &digits),
            ("TWOFOLD_RELEASE__IOS__LATEST_VERSION", "2"),
        ])
        .expect("valid");
        assert_eq!(settings.release["ios"].latest_version, "2");
        assert_eq!(settings.auth.client.secret.expect("set").expose_secret(), digits);
    }

    #[test]
    fn production_refuses_missing_short_and_shared_secrets_at_once() {
        let error = load(&[("TWOFOLD_ENV", "production")]).expect_err("no secrets").to_string();
        for key in ["auth.client.secret", "auth.backoffice.secret", "database.url", "mail.smtp_url"]
        {
            assert!(error.contains(key), "{key} is missing in: {error}");
        }
        let long = "x".repeat(32);
        let error = load(&[
            ("TWOFOLD_AUTH__CLIENT__SECRET", &long),
            ("TWOFOLD_AUTH__BACKOFFICE__SECRET", &long),
        ])
        .expect_err("shared")
        .to_string();
        assert!(error.contains("same"), "{error}");
        assert!(!error.contains(&long), "{error}");
        assert!(load(&[("TWOFOLD_AUTH__CLIENT__SECRET", "short")]).is_err());
    }

    #[test]
    fn timeouts_must_be_ordered() {
        let error = load(&[("TWOFOLD_SERVER__REQUEST_TIMEOUT_MS", "10")]).expect_err("order");
        assert!(error.to_string().contains("request_timeout_ms"), "{error}");
    }

    #[test]
    fn sizes_that_would_panic_or_starve_are_refused() {
        for (name, value) in [
            ("TWOFOLD_DATABASE__POOL_MAX_LIFETIME_SECONDS", "0"),
            ("TWOFOLD_DATABASE__POOL_MAX_SIZE", "0"),
            ("TWOFOLD_DATABASE__POOL_MIN_IDLE", "31"),
            ("TWOFOLD_SERVER__MAX_BODY_BYTES", "0"),
            ("TWOFOLD_AUTH__CLIENT__ACCESS_SECONDS", "604801"),
            ("TWOFOLD_MAIL__FROM", "nobody"),
        ] {
            assert!(load(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}
