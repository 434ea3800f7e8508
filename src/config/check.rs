//! What the types cannot say: rules between settings, and what production refuses.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::{Environment, Settings};

/// HS256 keys shorter than the hash are refused (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Every fault found in the settings. It never holds a value, which may be a secret.
#[derive(Debug)]
pub struct ConfigError {
    faults: Vec<String>,
}

impl ConfigError {
    pub(super) fn one(fault: String) -> Self {
        Self { faults: vec![fault] }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are not valid:")?;
        for fault in &self.faults {
            write!(f, "\n  - {fault}")?;
        }
        Ok(())
    }
}

impl From<figment::Error> for ConfigError {
    fn from(errors: figment::Error) -> Self {
        use figment::error::Kind;
        let faults = errors
            .into_iter()
            .map(|error| {
                let key = error.path.join(".");
                let source = error
                    .metadata
                    .as_ref()
                    .map_or_else(|| "the defaults".into(), |m| m.name.clone());
                let what = match &error.kind {
                    // Of a wrong type only the expectation is told: the value may be a secret.
                    Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                        format!("expected {expected}")
                    }
                    Kind::UnknownField(name, known) => {
                        format!("unknown key \"{name}\"; known here: {}", known.join(", "))
                    }
                    Kind::MissingField(name) => format!("\"{name}\" is missing"),
                    _ if key.ends_with("url") || key.ends_with("secret") => "not valid".to_owned(),
                    other => other.to_string(),
                };
                format!("{key} (from {source}): {what}")
            })
            .collect();
        Self { faults }
    }
}

/// Checks the rules between settings.
///
/// # Errors
/// All faults at once.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let mut faults = Vec::new();
    let (server, database) = (&settings.server, &settings.database);

    if server.max_body_bytes == 0 {
        faults.push("server.max_body_bytes: must not be 0".to_owned());
    }
    if !(server.request_timeout_ms > database.statement_timeout_ms
        && database.statement_timeout_ms > database.pool_wait_ms
        && database.pool_wait_ms > 0)
    {
        faults.push(
            "server.request_timeout_ms must be larger than database.statement_timeout_ms, \
             and that larger than database.pool_wait_ms"
                .to_owned(),
        );
    }
    if database.pool_max_lifetime_seconds == 0 {
        faults.push("database.pool_max_lifetime_seconds: must be at least 1".to_owned());
    }
    if database.pool_max_size == 0 || database.pool_min_idle > database.pool_max_size {
        faults.push(
            "database.pool_max_size: must be at least 1 and not below pool_min_idle".to_owned(),
        );
    }
    if settings.mail.from.parse::<lettre::message::Mailbox>().is_err() {
        faults.push("mail.from: must look like \"Name <name@example.com>\"".to_owned());
    }

    let realms = [("client", &settings.auth.client), ("backoffice", &settings.auth.backoffice)];
    for (name, realm) in realms {
        if realm.access_seconds == 0
            || realm.access_seconds > realm.idle_seconds
            || realm.idle_seconds > realm.absolute_seconds
        {
            faults.push(format!(
                "auth.{name}: access_seconds must be at least 1, at most idle_seconds, and that at most absolute_seconds"
            ));
        }
        match &realm.secret {
            Some(secret) if secret.expose_secret().len() < MIN_SECRET_BYTES => {
                faults.push(format!("auth.{name}.secret: shorter than {MIN_SECRET_BYTES} bytes"));
            }
            None if settings.environment == Environment::Production => {
                faults.push(format!(
                    "auth.{name}.secret: missing; set TWOFOLD_AUTH__{}__SECRET",
                    name.to_uppercase()
                ));
            }
            _ => {}
        }
    }
    let expose =
        |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
    if let Some(secret) = expose(&settings.auth.client.secret)
        && Some(secret) == expose(&settings.auth.backoffice.secret)
    {
        faults.push("auth.client.secret and auth.backoffice.secret are the same".to_owned());
    }

    if settings.environment == Environment::Production {
        if database.url.is_none() {
            faults.push("database.url: missing; production has no embedded database".to_owned());
        }
        if settings.mail.smtp_url.is_none() {
            faults.push("mail.smtp_url: missing; production has no outbox".to_owned());
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(ConfigError { faults }) }
}
