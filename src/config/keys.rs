//! Every setting that there is: its name, what its value may be, and whether it is a secret.
//!
//! What each one means stands in `config/default.toml`, beside its default.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::layers::Value;
use crate::{
    server::{Listen, Network},
    services::files::FileType,
};

/// HS256 keys shorter than the hash are refused (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;

const DAY_SECONDS: i64 = 86_400;

/// One setting. A `*` in the name stands for any one part.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
}

/// What the value of a setting may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Path,
    Switch,
    /// A whole number; the unit is a plural, or empty for plain numbers.
    Number {
        min: i64,
        max: i64,
        unit: &'static str,
    },
    OneOf(&'static [&'static str]),
    /// A list of some of them.
    SomeOf(&'static [&'static str]),
    /// Printable ASCII without blanks.
    Word,
    Secret,
    Listen,
    /// The beginning of web addresses.
    WebAddress,
    /// A list of web addresses, or `*` for all.
    Origins,
    /// A list of IP addresses and networks.
    Networks,
    Mailbox,
    LogFilter,
    Version,
    /// A key for signatures.
    SigningKey,
    PostgresUrl,
    SmtpUrl,
    RedisUrl,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
}

const fn number(min: i64, max: i64, unit: &'static str) -> Kind {
    Kind::Number { min, max, unit }
}

/// Eight is what the documents say, and 64 must be accepted (ASVS 5.0, 6.2.1 and 6.2.9).
const PASSWORD_LENGTH: Kind = number(8, 64, "characters");

const TRIES: Kind = number(1, 1_000_000, "tries");
const PERIOD: Kind = number(1, DAY_SECONDS, "seconds");

const FILE_BYTES: Kind = number(1, 1 << 50, "bytes");

/// Pictures that can be made into others.
const PICTURES: &[&str] = &["image/jpeg", "image/png", "image/webp"];

/// Every type of files whose bytes tell it.
const FILE_TYPES: &[&str] = &FileType::NAMES;

/// Every setting, in the order of `config/default.toml`.
pub const KEYS: &[Key] = &[
    key("data_dir", Kind::Path),
    key("server.listen", Kind::Listen),
    key("server.tls_certificate_file", Kind::Path),
    key("server.tls_key_file", Kind::Path),
    key("server.public_url", Kind::WebAddress),
    key("server.trusted_proxies", Kind::Networks),
    key("server.forwarded_header", Kind::OneOf(&["x-forwarded-for", "forwarded"])),
    key("server.max_in_flight", number(1, 100_000, "requests")),
    key("server.queue_wait_ms", number(1, 10_000, "milliseconds")),
    key("server.max_body_bytes", number(1, 1 << 30, "bytes")),
    key("server.request_timeout_ms", number(1, 600_000, "milliseconds")),
    key("server.max_connections", number(1, 1_000_000, "connections")),
    key("server.read_timeout_ms", number(1, 600_000, "milliseconds")),
    key("server.write_timeout_ms", number(1, 600_000, "milliseconds")),
    key("server.idle_timeout_ms", number(1, 3_600_000, "milliseconds")),
    key("server.shutdown_delay_ms", number(0, 600_000, "milliseconds")),
    key("server.drain_timeout_ms", number(0, 600_000, "milliseconds")),
    key("cors.client_origins", Kind::Origins),
    key("cors.backoffice_origins", Kind::Origins),
    key("database.url", Kind::PostgresUrl),
    key("database.direct_url", Kind::PostgresUrl),
    key("database.pool_max_size", number(1, 10_000, "connections")),
    key("database.pool_min_idle", number(0, 10_000, "connections")),
    key("database.pool_max_lifetime_seconds", number(1, 7 * DAY_SECONDS, "seconds")),
    key("database.pool_wait_ms", number(1, 60_000, "milliseconds")),
    key("database.statement_timeout_ms", number(1, 600_000, "milliseconds")),
    key("embedded.postgres_bin", Kind::Path),
    key("embedded.fetch", Kind::Switch),
    key("embedded.storage_port", number(0, 65_535, "")),
    key("auth.data_secret", Kind::SigningKey),
    key("auth.client.secret", Kind::SigningKey),
    key("auth.client.access_seconds", number(1, DAY_SECONDS, "seconds")),
    key("auth.client.idle_seconds", number(1, 3650 * DAY_SECONDS, "seconds")),
    key("auth.client.absolute_seconds", number(1, 3650 * DAY_SECONDS, "seconds")),
    key("auth.backoffice.secret", Kind::SigningKey),
    key("auth.backoffice.access_seconds", number(1, DAY_SECONDS, "seconds")),
    key("auth.backoffice.idle_seconds", number(1, 3650 * DAY_SECONDS, "seconds")),
    key("auth.backoffice.absolute_seconds", number(1, 3650 * DAY_SECONDS, "seconds")),
    key("passwords.min_length", PASSWORD_LENGTH),
    key("passwords.min_length_with_second_factor", PASSWORD_LENGTH),
    key("passwords.pepper", Kind::SigningKey),
    key("passwords.previous_pepper", Kind::SigningKey),
    key("passwords.memory_kib", number(8, 4_194_304, "KiB")),
    key("passwords.iterations", number(1, 1000, "passes")),
    key("passwords.parallelism", number(1, 64, "lanes")),
    key("accounts.deletion_grace_days", number(0, 3650, "days")),
    key("audit.retention_months", number(1, 1200, "months")),
    key("staff.invitation_hours", number(1, 8760, "hours")),
    key("staff.require_second_factor", Kind::Switch),
    key("staff.impersonation_seconds", number(1, 900, "seconds")),
    key("staff.impersonation_may_write", Kind::Switch),
    key("limits.password.per_client", TRIES),
    key("limits.password.per_account", TRIES),
    key("limits.password.period_seconds", PERIOD),
    key("limits.registration.per_client", TRIES),
    key("limits.registration.per_account", TRIES),
    key("limits.registration.period_seconds", PERIOD),
    key("limits.recovery.per_client", TRIES),
    key("limits.recovery.per_account", TRIES),
    key("limits.recovery.period_seconds", PERIOD),
    key("limits.code.per_client", TRIES),
    key("limits.code.per_account", TRIES),
    key("limits.code.period_seconds", PERIOD),
    key("limits.refresh.per_client", TRIES),
    key("limits.refresh.per_account", TRIES),
    key("limits.refresh.period_seconds", PERIOD),
    key("mail.smtp_url", Kind::SmtpUrl),
    key("mail.brevo_api_key", Kind::Secret),
    key("mail.brevo_url", Kind::WebAddress),
    key("mail.first", Kind::OneOf(&["smtp", "brevo"])),
    key("mail.from", Kind::Mailbox),
    key("mail.rate_per_second", number(1, 10_000, "mails")),
    key("jobs.in_process", Kind::Switch),
    key("jobs.slots", number(1, 10_000, "jobs")),
    key("jobs.pool_max_size", number(1, 1000, "connections")),
    key("jobs.heartbeat_ms", number(50, 600_000, "milliseconds")),
    key("jobs.history_days", number(1, 3650, "days")),
    key("storage.bucket", Kind::Word),
    key("storage.endpoint", Kind::WebAddress),
    key("storage.public_endpoint", Kind::WebAddress),
    key("storage.region", Kind::Word),
    key("storage.access_key_id", Kind::Word),
    key("storage.secret_access_key", Kind::Secret),
    key("storage.path_style", Kind::Switch),
    key("storage.prefix", Kind::Word),
    key("storage.role_arn", Kind::Word),
    key("storage.sts_endpoint", Kind::WebAddress),
    key("files.quota_bytes", FILE_BYTES),
    key("files.quota_files", number(1, 1_000_000_000, "files")),
    key("files.upload_seconds", number(1, 300, "seconds")),
    key("files.download_seconds", number(1, 3600, "seconds")),
    key("files.pending_hours", number(1, 720, "hours")),
    key("files.single_max_bytes", number(1, 5 << 30, "bytes")),
    key("files.credentials_seconds", number(900, 43_200, "seconds")),
    key("files.direct_max_bytes", number(1, 1 << 40, "bytes")),
    key("files.direct_seconds", number(1, 86_400, "seconds")),
    key("files.avatar.types", Kind::SomeOf(PICTURES)),
    key("files.avatar.max_bytes", FILE_BYTES),
    key("files.post_cover.types", Kind::SomeOf(PICTURES)),
    key("files.post_cover.max_bytes", FILE_BYTES),
    key("files.attachment.types", Kind::SomeOf(FILE_TYPES)),
    key("files.attachment.max_bytes", FILE_BYTES),
    key("redis.url", Kind::RedisUrl),
    key("redis.key_prefix", Kind::Word),
    key("cache.enabled", Kind::Switch),
    key("cache.seconds", number(1, DAY_SECONDS, "seconds")),
    key("log.filter", Kind::LogFilter),
    key("log.format", Kind::OneOf(&["text", "json"])),
    key("log.sinks", Kind::SomeOf(&["stdout", "file", "redis"])),
    key("log.dir", Kind::Path),
    key("log.retention_days", number(1, 3650, "days")),
    key("log.sql", Kind::OneOf(&["off", "slow", "all"])),
    key("log.slow_statement_ms", number(0, 600_000, "milliseconds")),
    key("metrics.listen", Kind::Listen),
    key("docs.enabled", Kind::Switch),
    key("docs.staff_sign_in", Kind::Switch),
    key("release.*.minimum_version", Kind::Version),
    key("release.*.latest_version", Kind::Version),
    key("release.*.force_upgrade", Kind::Switch),
];

impl Key {
    /// The setting of this name, if there is one.
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.matches(name))
    }

    fn matches(&self, name: &str) -> bool {
        let (mut parts, mut given) = (self.name.split('.'), name.split('.'));
        loop {
            match (parts.next(), given.next()) {
                (None, None) => return true,
                (Some("*"), Some(given)) if !given.is_empty() => {}
                (Some(part), Some(given)) if part == given => {}
                _ => return false,
            }
        }
    }

    /// The names that this key stands for, of those that can be known.
    fn names(&self) -> Vec<String> {
        if self.name.contains('*') {
            return ["ios", "android"].map(|platform| self.name.replace('*', platform)).into();
        }
        vec![self.name.to_owned()]
    }
}

/// The names of all settings.
pub fn names() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(Key::names)
}

impl Kind {
    /// Whether the value must not be shown.
    pub const fn is_secret(self) -> bool {
        matches!(
            self,
            Self::Secret | Self::SigningKey | Self::PostgresUrl | Self::SmtpUrl | Self::RedisUrl
        )
    }

    /// A variable's text as the type that it should have. One that doesn't fit stays a text,
    /// which [`Kind::accepts`] refuses.
    pub fn read(self, text: &str) -> Value {
        let read = match self {
            Self::Number { .. } => text.parse().ok().map(Value::Integer),
            Self::Switch => text.parse().ok().map(Value::Boolean),
            Self::Origins | Self::Networks | Self::SomeOf(_) => {
                let parts = text.split(',').map(|one| Value::from(one.trim()));
                Some(Value::Array(parts.collect()))
            }
            _ => None,
        };
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    }

    /// Whether a value will do.
    pub fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Switch, Value::Boolean(_)) => true,
            (Self::Number { min, max, .. }, Value::Integer(number)) => (min..=max).contains(number),
            (Self::Origins, Value::Array(origins)) => {
                let is_origin =
                    |one: &Value| one.as_str().is_some_and(|t| t == "*" || is_web_address(t));
                origins.iter().all(is_origin)
            }
            (Self::Networks, Value::Array(networks)) => {
                let is_network =
                    |one: &Value| one.as_str().is_some_and(|t| t.parse::<Network>().is_ok());
                networks.iter().all(is_network)
            }
            (Self::SomeOf(choices), Value::Array(some)) => {
                let is_choice = |one: &Value| one.as_str().is_some_and(|t| choices.contains(&t));
                !some.is_empty() && some.iter().all(is_choice)
            }
            (
                Self::Switch
                | Self::Number { .. }
                | Self::Origins
                | Self::Networks
                | Self::SomeOf(_),
                _,
            ) => false,
            (_, Value::String(text)) => self.accepts_text(text),
            _ => false,
        }
    }

    fn accepts_text(self, text: &str) -> bool {
        // No value has a line of its own, or blanks around it: they come from how it was written.
        if text.trim() != text || text.contains(char::is_control) {
            return false;
        }
        match self {
            Self::Path => !text.is_empty(),
            Self::Word | Self::Secret => {
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
            }
            Self::OneOf(choices) => choices.contains(&text),
            Self::Listen => text.parse::<Listen>().is_ok(),
            Self::WebAddress => is_web_address(text),
            Self::Mailbox => text.parse::<lettre::message::Mailbox>().is_ok(),
            Self::LogFilter => is_log_filter(text),
            Self::Version => is_version(text),
            Self::SigningKey => text.len() >= MIN_SECRET_BYTES,
            Self::PostgresUrl => crate::db::is_url(text),
            Self::SmtpUrl => crate::adapters::mailer::is_smtp_url(text),
            Self::RedisUrl => crate::adapters::redis::is_url(text),
            Self::Switch
            | Self::Number { .. }
            | Self::Origins
            | Self::Networks
            | Self::SomeOf(_) => false,
        }
    }

    /// What the value must be, as in "must be …".
    pub fn expected(self) -> String {
        match self {
            Self::Path => "the path of a file or folder".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Number { min, max, unit } => {
                let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
                format!("a whole number{of} from {min} to {max}")
            }
            Self::OneOf(choices) => format!("one of: {}", choices.join(", ")),
            Self::SomeOf(choices) => format!("a list of one or several of: {}", choices.join(", ")),
            Self::Word | Self::Secret => "letters, digits and signs of ASCII".to_owned(),
            Self::Listen => {
                "an IP address and a port, such as 127.0.0.1:8001, or unix:/path/to.sock".to_owned()
            }
            Self::WebAddress => {
                "a web address without a path, such as https://api.example.com".to_owned()
            }
            Self::Origins => {
                "a list of web addresses without paths, such as https://app.example.com, or *"
                    .to_owned()
            }
            Self::Networks => {
                "a list of IP addresses and networks, such as 10.0.0.0/8 or 192.0.2.7".to_owned()
            }
            Self::Mailbox => {
                "a name and a mail address, such as Shop <no-reply@example.com>".to_owned()
            }
            Self::LogFilter => {
                "levels, for everything or by module, such as info,twofold=debug".to_owned()
            }
            Self::Version => "a version of three numbers, such as 1.4.0".to_owned(),
            Self::SigningKey => format!(
                "a random text of at least {MIN_SECRET_BYTES} bytes, such as `openssl rand -hex 32` prints"
            ),
            Self::PostgresUrl => {
                "an address such as postgresql://user:password@host/database".to_owned()
            }
            Self::SmtpUrl => "an address such as smtps://user:password@host".to_owned(),
            Self::RedisUrl => "an address such as rediss://user:password@host:6379/0".to_owned(),
        }
    }
}

/// A bare word is a level: as a module of that name it would silence all others.
fn is_log_filter(text: &str) -> bool {
    let is_directive =
        |part: &str| part.contains(['=', '[']) || part.parse::<LevelFilter>().is_ok();
    text.split(',').map(str::trim).all(is_directive) && EnvFilter::try_new(text).is_ok()
}

/// Scheme, host and port, and nothing else; no pattern of hosts either.
fn is_web_address(text: &str) -> bool {
    let is_origin = |url: url::Url| {
        let origin = url.origin().ascii_serialization();
        let given = text.strip_suffix('/').unwrap_or(text);
        matches!(url.scheme(), "http" | "https") && origin.eq_ignore_ascii_case(given)
    };
    !text.contains('*') && url::Url::parse(text).is_ok_and(is_origin)
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

/// The candidate that was probably meant, if one is near enough.
pub fn nearest(given: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    /// Less alike than this, a suggestion would mislead.
    const ALIKE: f64 = 0.75;
    // `server_listen` and `server__listen` are the most usual mistakes of all.
    let plain = |name: &str| name.to_lowercase().replace(['.', '_', '-'], "");
    let wanted = plain(given);
    candidates
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&wanted, &plain(&name)), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_part_by_part() {
        let found = |name| Key::find(name).map(|key| key.name);
        assert_eq!(found("server.listen"), Some("server.listen"));
        assert_eq!(found("release.web.latest_version"), Some("release.*.latest_version"));
        assert_eq!(found("auth.client.secret"), Some("auth.client.secret"));
        assert_eq!(found("auth.nobody.secret"), None);
        for name in ["server", "server.listen.port", "release..latest_version", "listen", ""] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let near = |given| nearest(given, names());
        assert_eq!(near("server.lisen").as_deref(), Some("server.listen"));
        assert_eq!(near("SERVER_LISTEN").as_deref(), Some("server.listen"));
        assert_eq!(near("database.pool_maxsize").as_deref(), Some("database.pool_max_size"));
        assert_eq!(near("nothing.like.it"), None);
    }

    #[test]
    fn every_kind_takes_its_own_example_and_nothing_else() {
        let text = |text: &str| Value::String(text.to_owned());
        let cases = [
            (Kind::Listen, "127.0.0.1:8001", "8001"),
            (Kind::WebAddress, "https://api.example.com", "https://api.example.com/path"),
            (Kind::Mailbox, "Shop <no-reply@example.com>", "Shop"),
            (Kind::LogFilter, "info,twofold=debug", "info,twofold=loud"),
            (Kind::Version, "1.4.0", "1.4"),
            (Kind::SigningKey, "0123456789abcdef0123456789abcdef", "0123456789abcdef"),
            (Kind::PostgresUrl, "postgresql://user:password@host/database", "mysql://host"),
            (Kind::SmtpUrl, "smtps://user:password@host", "host:25"),
            (Kind::RedisUrl, "rediss://user:password@host:6379/0", "redis-sentinel://host"),
            (Kind::OneOf(&["text", "json"]), "json", "xml"),
        ];
        for (kind, good, bad) in cases {
            assert!(kind.accepts(&text(good)), "{kind:?} {good}");
            assert!(!kind.accepts(&text(bad)), "{kind:?} {bad}");
            assert!(!kind.accepts(&Value::Integer(1)), "{kind:?}");
        }
        let kind = number(1, 9, "bytes");
        assert!(kind.accepts(&kind.read("9")) && !kind.accepts(&kind.read("10")));
        assert!(!kind.accepts(&text("9")), "a text in a file is no number");
        assert!(!Kind::Switch.accepts(&Kind::Switch.read("yes")));
        for (list, is_good) in [
            ("https://app.example.com", true),
            ("https://app.example.com, http://localhost:3000/", true),
            ("*", true),
            ("https://app.example.com,", false),
            ("https://*.example.com", false),
            ("https://app.example.com/path", false),
            ("null", false),
        ] {
            assert_eq!(Kind::Origins.accepts(&Kind::Origins.read(list)), is_good, "{list}");
        }
        assert!(!Kind::Origins.accepts(&text("*")), "a text in a file is no list");
        for (list, is_good) in [
            ("10.0.0.0/8, 192.0.2.7", true),
            ("fd00::/8", true),
            ("10.0.0.0/33", false),
            ("proxy.internal", false),
            ("10.0.0.1,", false),
        ] {
            assert_eq!(Kind::Networks.accepts(&Kind::Networks.read(list)), is_good, "{list}");
        }
        let some = Kind::SomeOf(&["stdout", "file", "redis"]);
        for (list, is_good) in
            [("file", true), ("redis, stdout", true), ("", false), ("file,", false), ("no", false)]
        {
            assert_eq!(some.accepts(&some.read(list)), is_good, "{list}");
        }
        assert!(!some.accepts(&text("file")) && !some.accepts(&Value::Array(vec![])));
    }
}
