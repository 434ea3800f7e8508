//! What the layers make of files and variables.

mod faults;

use std::{collections::BTreeMap, fs};

use secrecy::ExposeSecret;

use super::*;

/// A folder as a program is started in: files by path, and variables.
#[derive(Default)]
struct Place {
    files: Vec<(&'static str, String)>,
    variables: Vec<(&'static str, String)>,
}

impl Place {
    fn file(mut self, path: &'static str, text: &str) -> Self {
        self.files.push((path, text.to_owned()));
        self
    }

    fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn load(self) -> Result<Loaded, ConfigError> {
        let folder = tempfile::tempdir().expect("temporary directory");
        for (path, text) in &self.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("directory");
            fs::write(path, text).expect("file");
        }
        let here = folder.path().to_str().expect("UTF-8");
        let variables: BTreeMap<String, String> = self
            .variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.replace("HERE", here)))
            .collect();
        load(Some(folder.path()), &variables)
    }

    fn faults(self) -> Vec<Fault> {
        self.load().expect_err("faults").faults
    }
}

fn start() -> Place {
    Place::default()
}

/// A complete production.
fn production() -> Place {
    start()
        .variable("TWOFOLD_ENV", "production")
        .variable("DATABASE_URL", "postgresql://app:hidden-1@db/shop")
        .variable("SMTP_URL", "smtps://app:hidden-2@mail.shop.test")
        .variable("TWOFOLD_AUTH__CLIENT__SECRET", "d2f4a6b8c0e1f3a5b7c9d1e3f5a7b9c1")
        .variable("TWOFOLD_AUTH__BACKOFFICE__SECRET", "91c3e5a7092b4d6f81a3c5e7092b4d6f")
        .variable("TWOFOLD_SERVER__PUBLIC_URL", "https://api.shop.test")
        .variable("TWOFOLD_MAIL__FROM", "Shop <no-reply@shop.test>")
}

#[test]
fn defaults_are_complete_and_follow_the_mission() {
    let settings = start().load().expect("defaults").settings;
    assert_eq!(settings.environment, Environment::Development);
    assert_eq!(settings.database.pool_max_size, 30);
    assert!(settings.database.pool_min_idle > 0);
    assert_eq!(settings.database.pool_max_lifetime_seconds, 30 * 60);
    assert_eq!(settings.database.pool_wait_ms, 1000);
    assert_eq!(settings.auth.client.access_seconds, 30 * 60);
    assert_eq!(settings.auth.client.idle_seconds, 7 * 24 * 3600);
    assert_eq!(settings.auth.backoffice.idle_seconds, 3600);
    assert_eq!(settings.auth.backoffice.absolute_seconds, 24 * 3600);
    assert_eq!(settings.log.retention_days, 7);
}

#[test]
fn each_environment_has_its_file() {
    let preview = production().variable("TWOFOLD_ENV", "preview").load().expect("valid").settings;
    assert!(preview.docs.enabled && preview.log.format == LogFormat::Json);
    assert_eq!(preview.server.listen.to_string(), "0.0.0.0:8001");
    let with_docs = production().variable("TWOFOLD_DOCS__ENABLED", "true").load();
    assert!(with_docs.expect("valid").settings.docs.enabled);
    let production = production().load().expect("valid").settings;
    assert!(!production.docs.enabled && production.docs.staff_sign_in);
    assert!(production.staff.require_second_factor);
    assert!(production.log.sql == SqlLog::Slow);
    let test = start().variable("TWOFOLD_ENV", "test").load().expect("valid").settings;
    assert_eq!(test.log.sinks, [LogSink::Stdout]);
    let development = start().load().expect("valid").settings;
    assert_eq!(development.log.sinks, [LogSink::Stdout, LogSink::File]);
    assert_eq!(development.log.sql, SqlLog::All);
}

#[test]
fn a_later_layer_overrides_an_earlier_one_and_is_named() {
    const KEY: &str = "server.max_body_bytes";
    let seen = |place: Place| {
        let loaded = place.load().expect("valid");
        let effective = loaded.effective.into_iter().find(|one| one.key == KEY).expect("there");
        assert_eq!(effective.value, Some(loaded.settings.server.max_body_bytes.into()));
        (loaded.settings.server.max_body_bytes, effective.source.expect("a source"))
    };
    let set = |value: u32| format!("# a comment\n[server]\nmax_body_bytes = {value}\n");

    let mut place = start();
    let (value, source) = seen(start());
    assert_eq!(
        (value, source.starts_with("built-in config/default.toml, line ")),
        (1_048_576, true)
    );
    let layers: [(&'static str, u32, &str); 4] = [
        ("config/default.toml", 2, "config/default.toml, line 3"),
        ("config/development.toml", 3, "config/development.toml, line 3"),
        ("config/local.toml", 4, "config/local.toml, line 3"),
        (".env", 5, "TWOFOLD_SERVER__MAX_BODY_BYTES in .env"),
    ];
    for (path, value, expected) in layers {
        let text = match path {
            ".env" => format!("# here\nTWOFOLD_SERVER__MAX_BODY_BYTES=\"{value}\"\n"),
            _ => set(value),
        };
        place = place.file(path, &text);
        let (found, source) = seen(Place { files: place.files.clone(), ..start() });
        assert_eq!(found, value as usize);
        assert!(source.ends_with(expected), "{source}");
    }
    let (value, source) = seen(place.variable("TWOFOLD_SERVER__MAX_BODY_BYTES", "6"));
    assert_eq!(value, 6);
    assert_eq!(source, "the environment variable TWOFOLD_SERVER__MAX_BODY_BYTES");
}

#[test]
fn secrets_come_from_files_too_and_are_never_shown() {
    let secret = "f0e1d2c3b4a5968778695a4b3c2d1e0f";
    let place = start()
        .file("secret", &format!("{secret}\n"))
        .file(".env", "DATABASE_URL=postgresql://overridden@db/x\n")
        .file("url", "postgresql://app:hidden@db/shop\n")
        .variable("TWOFOLD_AUTH__CLIENT__SECRET_FILE", "HERE/secret")
        .variable("DATABASE_URL_FILE", "HERE/url");
    let loaded = place.load().expect("valid");
    let (auth, database) = (&loaded.settings.auth, &loaded.settings.database);
    assert_eq!(auth.client.secret.as_ref().expect("set").expose_secret(), secret);
    assert_eq!(
        database.url.as_ref().expect("set").expose_secret(),
        "postgresql://app:hidden@db/shop"
    );
    let shown = serde_json::to_string(&loaded.effective).expect("JSON");
    assert!(shown.contains("/secret, named by the environment variable TWOFOLD_AUTH__CLIENT"));
    assert!(!shown.contains(secret) && !shown.contains("hidden"), "{shown}");
}

#[test]
fn what_is_not_ours_or_empty_is_left_alone() {
    let settings = start()
        .variable("UNRELATED", "x")
        .variable("DATABASE_URL", "")
        .file(".env", "TWOFOLD_LOG__SQL=off\n")
        .variable("TWOFOLD_LOG__SQL", "")
        .variable("TWOFOLD_SERVICE_HOST", "10.0.0.1")
        .variable("TWOFOLD_PORT_8001_TCP", "tcp://10.0.0.1:8001")
        .load()
        .expect("valid")
        .settings;
    assert!(settings.database.url.is_none());
    assert_eq!(settings.log.sql, SqlLog::Off, "an empty variable hides nothing");
}
