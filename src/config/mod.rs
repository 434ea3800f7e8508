//! Typed settings: defaults from `config/`, overridden layer by layer, checked as a whole.
//!
//! Only [`crate::bootstrap`] and the command line read them; every other part is handed
//! the few values that it needs. Adding one: a documented line in `config/default.toml`, a field
//! in `sections.rs`, a line in `keys.rs`, and `twofold reference settings > docs/settings.md`.

mod check;
mod fault;
mod keys;
mod layers;
mod limits;
mod reference;
mod sections;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

pub use fault::{ConfigError, Fault};
use keys::Key;
use layers::{CONFIG_DIR, ENVIRONMENT, Layers, Source, TomlFile, Value};
pub use limits::{Limits, Tries};
pub use reference::reference;
pub use sections::*;

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
    pub audit: Audit,
    pub staff: Staff,
    pub limits: Limits,
    pub mail: Mail,
    pub jobs: Jobs,
    pub storage: Storage,
    pub files: Files,
    pub redis: Redis,
    pub log: Log,
    #[serde(default)]
    pub metrics: Metrics,
    pub docs: Docs,
    pub release: BTreeMap<String, Release>,
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
