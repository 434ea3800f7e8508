//! `doctor`: is everything there that the product needs, and what to do where it isn't?

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::fs::Access;
use serde::Serialize;
use serde_json::json;

use super::{
    health,
    output::{Outcome, Output},
};
use crate::{
    adapters::{clock::Clock, mailer::Mailer},
    bootstrap::{self, Database, StartError},
    config::{Loaded, LogSink, Settings},
    db::{
        inspect::{self, OLDEST_SERVER, Server},
        migrations,
    },
    telemetry::Chain,
};

const GIB: u64 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// What was found of one thing.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    state: State,
    found: String,
    /// What to do about it.
    remedy: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), remedy: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { name, state: State::Warning, found: found.into(), remedy }
    }

    fn failed(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { name, state: State::Failed, found: found.into(), remedy }
    }

    fn line(&self) -> String {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Failed => "failed",
        };
        let remedy = self.remedy.iter().map(|remedy| format!("\n{:23}→ {remedy}", ""));
        let found = self.found.replace('\n', &format!("\n{:23}", ""));
        format!("{state:8} {:14}{found}{}", self.name, remedy.collect::<String>())
    }
}

pub(super) async fn run(loaded: &Loaded, output: Output) -> Outcome {
    let mut settings = loaded.settings.clone();
    // An instance that runs has its port.
    settings.embedded.storage_port = 0;
    let settings = &settings;
    let count = loaded.effective.iter().filter(|one| one.source.is_some()).count();
    let mut findings =
        vec![Finding::ok("settings", format!("{count} in effect, {}", settings.environment))];
    findings.push(open_files());
    findings.push(address(settings).await);
    findings.extend(first_of(bootstrap::data_dirs(settings), "data folder", "TWOFOLD_DATA_DIR"));
    let sinks = &settings.log.sinks;
    if sinks.contains(&LogSink::File) || sinks.contains(&LogSink::Redis) {
        let places = bootstrap::log_dirs(settings);
        findings.extend(first_of(places, "log folder", "TWOFOLD_LOG__DIR"));
    }
    findings.extend(redis(settings).await);
    match Database::open_shared(settings).await {
        Ok(mut database) => {
            services(settings, &database, &mut findings).await;
            database.stop();
        }
        Err(error) => {
            let remedy = "do as the message says, or set DATABASE_URL to a database of yours";
            findings.push(Finding::failed("database", Chain(&error).to_string(), remedy));
        }
    }
    let failed = findings.iter().filter(|one| one.state == State::Failed).count();
    let lines: Vec<String> = findings.iter().map(Finding::line).collect();
    output.show(&json!({"healthy": failed == 0, "findings": findings}), lines.join("\n"))?;
    match failed {
        0 => Ok(()),
        1 => Err("one thing is missing or broken".into()),
        _ => Err(format!("{failed} things are missing or broken").into()),
    }
}

async fn services(settings: &Settings, database: &Database, findings: &mut Vec<Finding>) {
    let is_embedded = database.is_embedded();
    match inspect::inspect(&database.url).await {
        Ok(server) => {
            findings.push(version(&server, is_embedded));
            findings.push(connections(settings, &server, is_embedded));
            findings.push(clock(&server));
            findings.push(migrating(database).await);
            findings.push(schema(database).await);
        }
        Err(error) => {
            let remedy = "start it, and check DATABASE_URL and what stands between";
            findings.push(Finding::failed("database", Chain(&error).to_string(), remedy));
        }
    }
    match bootstrap::storage(settings).await {
        Ok(None) => findings.push(Finding::ok("storage", "none, and nothing needs it")),
        Ok(Some(storage)) => findings.push(match storage.probe().await {
            Ok(()) => Finding::ok("storage", "objects can be written, read and deleted"),
            Err(error) => {
                let remedy = "mend what the message names; docs/settings.md has storage.*";
                Finding::failed("storage", Chain(&error).to_string(), remedy)
            }
        }),
        Err(error) => {
            let remedy = "mend what the message names";
            findings.push(Finding::failed("storage", Chain(&error).to_string(), remedy));
        }
    }
    match bootstrap::mailer(settings, &Clock::default()) {
        Ok(mailer) => findings.extend(mail(&mailer).await),
        Err(error) => {
            let remedy = "mend what the message names";
            findings.push(Finding::failed("mail", Chain(&error).to_string(), remedy));
        }
    }
}

fn version(server: &Server, is_embedded: bool) -> Finding {
    let kind = if is_embedded { "embedded PostgreSQL" } else { "PostgreSQL" };
    let found = format!("{kind} {}, {}", server.version, server.encoding);
    if u32::try_from(server.major_version).is_ok_and(|major| major < OLDEST_SERVER) {
        let remedy = format!("upgrade it to PostgreSQL {OLDEST_SERVER} or newer");
        return Finding::failed("database", found, remedy);
    }
    if server.encoding != "UTF8" {
        let remedy = "make the database anew with ENCODING 'UTF8'";
        return Finding::failed("database", found, remedy);
    }
    Finding::ok("database", found)
}

fn rights(server: &Server) -> Finding {
    if server.is_read_only {
        let remedy = "connect to the primary server, and let the role write";
        return Finding::failed("rights", "the database is read-only", remedy);
    }
    if !server.can_create {
        let found = "the role can't create tables, so migrations fail";
        let remedy = "GRANT CREATE ON SCHEMA public TO the role, or migrate as the owner";
        return Finding::warning("rights", found, remedy);
    }
    Finding::ok("rights", "the role can read, write and migrate")
}

fn connections(settings: &Settings, server: &Server, is_embedded: bool) -> Finding {
    let (wanted, offered) = (i64::from(settings.database.pool_max_size), server.max_connections);
    let limit = match server.statement_timeout.as_str() {
        "0" => "no time limit of its own",
        limit => limit,
    };
    let found = format!("{offered} offered, {wanted} used at most; statements: {limit}");
    if !is_embedded && wanted + 5 > i64::from(offered) {
        let remedy =
            "raise max_connections, lower TWOFOLD_DATABASE__POOL_MAX_SIZE, or use a pooler";
        return Finding::warning("connections", found, remedy);
    }
    let is_pooled = settings.database.direct_url.is_some();
    if is_pooled && server.statement_timeout == "0" {
        let remedy = "ALTER ROLE … SET statement_timeout = '5s': behind a pooler it belongs there";
        return Finding::warning("connections", found, remedy);
    }
    Finding::ok("connections", found)
}

/// Tokens and sessions are dated by this machine, and read by all.
fn clock(server: &Server) -> Finding {
    let apart = (Clock::default().now() - server.clock).abs();
    let found = format!("{:.1} s apart from the database's", apart.as_seconds_f64());
    if apart.num_seconds() > 2 {
        return Finding::failed("clock", found, "set both by NTP, such as chrony or timesyncd");
    }
    Finding::ok("clock", found)
}

async fn schema(database: &Database) -> Finding {
    match migrations::status(&database.direct_url).await {
        Ok(all) => match all.iter().filter(|one| !one.applied).count() {
            0 => Finding::ok("schema", format!("all {} migrations are applied", all.len())),
            pending => {
                let found = format!("{pending} migrations are missing");
                Finding::warning("schema", found, "run `twofold migrate up`; `serve` does, too")
            }
        },
        Err(error) => {
            let remedy = "let the role read and create tables";
            Finding::failed("schema", Chain(&error).to_string(), remedy)
        }
    }
}

/// The rights of the role that migrates, which may have an address of its own.
async fn migrating(database: &Database) -> Finding {
    match inspect::inspect(&database.direct_url).await {
        Ok(server) => rights(&server),
        Err(error) => {
            let remedy = "check DATABASE_DIRECT_URL, which migrations use";
            Finding::failed("rights", Chain(&error).to_string(), remedy)
        }
    }
}

/// Each way to send mail.
async fn mail(mailer: &Mailer) -> Vec<Finding> {
    let found = |(way, outcome): (_, Result<(), _>)| {
        let (works, remedy) = match way {
            "smtp" => ("the server takes mail", "check SMTP_URL: host, port, TLS, user, password"),
            "brevo" => {
                ("Brevo knows the key", "check TWOFOLD_MAIL__BREVO_API_KEY and what it may do")
            }
            _ => ("goes to the outbox", "let this account write there"),
        };
        match outcome {
            Ok(()) => Finding::ok("mail", works),
            Err(error) => Finding::failed("mail", format!("{way}: {error}"), remedy),
        }
    };
    mailer.check().await.into_iter().map(found).collect()
}

/// Nothing, if none is wanted.
async fn redis(settings: &Settings) -> Option<Finding> {
    let asked = match bootstrap::redis(settings) {
        Ok(redis) => redis?.ping().await.map_err(StartError::from),
        Err(error) => Err(error),
    };
    Some(match asked {
        Ok(()) => Finding::ok("redis", "the server lets us in"),
        Err(error) => {
            let remedy = "check REDIS_URL: host, port, TLS, user and password";
            Finding::failed("redis", Chain(&error).to_string(), remedy)
        }
    })
}

async fn address(settings: &Settings) -> Finding {
    let listen = &settings.server.listen;
    match bootstrap::listener(settings).await {
        Ok(_) => Finding::ok("address", format!("{listen} is free")),
        Err(_) if matches!(health::ask(settings, "/health/live").await, Ok(200)) => {
            Finding::ok("address", format!("Twofold answers at {listen}"))
        }
        Err(error) => {
            let remedy = "stop what listens there, or set TWOFOLD_SERVER__LISTEN";
            Finding::failed("address", Chain(&error).to_string(), remedy)
        }
    }
}

/// Each connection of a client and of the pool takes one.
fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(limit) if limit < 4096 => {
            let found = format!("{limit} at a time");
            let remedy = "raise it: `ulimit -n 65536`, or LimitNOFILE= of systemd";
            Finding::warning("open files", found, remedy)
        }
        Some(limit) => Finding::ok("open files", format!("{limit} at a time")),
        None => Finding::ok("open files", "no limit"),
    }
}

/// The first place that will do, or what is wrong with the preferred one.
fn first_of(
    places: impl Iterator<Item = PathBuf>,
    name: &'static str,
    variable: &str,
) -> Option<Finding> {
    let mut findings: Vec<_> = places.map(|place| folder(name, &place, variable)).collect();
    let usable = findings.iter().position(|one| one.state != State::Failed).unwrap_or(0);
    (!findings.is_empty()).then(|| findings.swap_remove(usable))
}

fn folder(name: &'static str, path: &Path, variable: &str) -> Finding {
    let shown = path.display();
    // What isn't there yet is made where it is needed: here only its right to be made counts.
    let existing = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
    let free = match may_write(existing).and_then(|()| free_bytes(existing)) {
        Ok(free) => free,
        Err(error) => {
            let remedy = format!("let this account write there, or set {variable}");
            return Finding::failed(name, format!("{shown}: {error}"), remedy);
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "one decimal of gigabytes")]
    let found = format!("{shown}, {:.1} GiB free", free as f64 / GIB as f64);
    match free {
        ..=0x0400_0000 => Finding::failed(name, found, "free some space"),
        0x0400_0001..=GIB => Finding::warning(name, found, "free some space"),
        _ => Finding::ok(name, found),
    }
}

/// Asks, and makes nothing: a diagnosis leaves no trace.
fn may_write(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn server() -> Server {
        Server {
            version: "17.2".to_owned(),
            major_version: 17,
            encoding: "UTF8".to_owned(),
            clock: Clock::default().now(),
            can_create: true,
            is_read_only: false,
            max_connections: 100,
            statement_timeout: "0".to_owned(),
        }
    }

    #[test]
    fn servers_of_no_use_are_found_out() {
        assert_eq!(version(&server(), false).state, State::Ok);
        let old = Server { major_version: 14, ..server() };
        assert_eq!(version(&old, false).state, State::Failed);
        let ascii = Server { encoding: "SQL_ASCII".to_owned(), ..server() };
        assert_eq!(version(&ascii, false).state, State::Failed);
        assert_eq!(clock(&server()).state, State::Ok);
        for off in [TimeDelta::seconds(-10), TimeDelta::seconds(10)] {
            let off = Server { clock: server().clock + off, ..server() };
            assert_eq!(clock(&off).state, State::Failed);
        }
    }

    #[test]
    fn connections_must_suffice_and_have_a_time_limit_behind_a_pooler() {
        let load = |variables: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Settings::from_variables(variables.iter().map(own)).expect("valid")
        };
        let settings = load(&[]);
        assert_eq!(connections(&settings, &server(), false).state, State::Ok);
        let few = Server { max_connections: 34, ..server() };
        assert_eq!(connections(&settings, &few, false).state, State::Warning);
        let pooled = load(&[
            ("DATABASE_URL", "postgresql://pooler/d"),
            ("DATABASE_DIRECT_URL", "postgresql://db/d"),
        ]);
        assert_eq!(connections(&pooled, &server(), false).state, State::Warning);
        let limited = Server { statement_timeout: "5s".to_owned(), ..server() };
        assert_eq!(connections(&pooled, &limited, false).state, State::Ok);
    }
}
