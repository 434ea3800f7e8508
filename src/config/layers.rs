//! Where values come from: built-in files, files beside the program, `.env`, variables and the
//! files that those name. A later layer overrides an earlier one, key by key.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

pub use toml::Value;
use toml::de::{DeTable, DeValue};

use super::{
    fault::Fault,
    keys::{self, Key},
};

const PREFIX: &str = "TWOFOLD_";

/// Variables with a name of their own, because every tool knows them.
const WELL_KNOWN: [(&str, &str); 5] = [
    ("DATABASE_URL", "database.url"),
    ("DATABASE_DIRECT_URL", "database.direct_url"),
    ("REDIS_URL", "redis.url"),
    ("SMTP_URL", "mail.smtp_url"),
    ("PG_BIN", "embedded.postgres_bin"),
];

/// Variables that choose settings instead of being one.
pub const ENVIRONMENT: &str = "TWOFOLD_ENV";
pub const CONFIG_DIR: &str = "TWOFOLD_CONFIG_DIR";

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file that is compiled in.
    BuiltIn {
        file: &'static str,
        line: usize,
    },
    File {
        path: PathBuf,
        line: usize,
    },
    Variable(String),
    DotEnv(String),
    /// The file that a variable names.
    SecretFile {
        variable: Box<Source>,
        path: PathBuf,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn { file, line } => write!(f, "built-in {file}, line {line}"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::SecretFile { variable, path } => {
                write!(f, "the file {}, named by {variable}", path.display())
            }
        }
    }
}

/// A value and where it was found.
#[derive(Debug, Clone)]
pub struct Entry {
    pub value: Value,
    pub source: Source,
}

/// All values by key, and what was wrong on the way.
#[derive(Debug, Default)]
pub struct Layers {
    pub entries: BTreeMap<String, Entry>,
    pub faults: Vec<Fault>,
}

/// A file in the TOML format, and how its lines are called.
pub struct TomlFile<'a> {
    pub text: &'a str,
    pub at_line: &'a dyn Fn(usize) -> Source,
}

impl Layers {
    /// Adds the values of a TOML file; each syntax error becomes a fault.
    pub fn add_file(&mut self, file: &TomlFile<'_>) {
        let line_of =
            |offset: usize| file.text.get(..offset).map_or(1, |before| before.split('\n').count());
        let (table, errors) = DeTable::parse_recoverable(file.text);
        let is_broken = !errors.is_empty();
        let mut last = 0;
        for error in errors {
            let line = line_of(error.span().map_or(0, |span| span.start));
            // What follows in a broken line follows from its first fault.
            if std::mem::replace(&mut last, line) == line {
                continue;
            }
            let source = (file.at_line)(line);
            // The library's message describes the grammar and never quotes the text.
            let problem = format!("is not valid TOML: {}", error.message().replace('\n', ", "));
            self.faults.push(Fault::new("(file)", Some(source), problem, "mend this line"));
        }
        let mut found = Vec::new();
        flatten("", table.get_ref(), &mut found);
        // What recovery takes for a key may be anything, such as a secret that lacks its quotes.
        found.retain(|(name, ..)| !is_broken || Key::find(name).is_some());
        for (name, offset, value) in found {
            self.add(&name, value, (file.at_line)(line_of(offset)));
        }
    }

    /// Adds a file of the operator's, if it is there. One like our own changes nothing.
    pub fn add_file_of(&mut self, path: &Path, built_in: &str) {
        let at_line = |line| Source::File { path: path.to_owned(), line };
        match fs::read_to_string(path) {
            Ok(text) if text == built_in => {}
            Ok(text) => self.add_file(&TomlFile { text: &text, at_line: &at_line }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let problem = format!("can't be read: {}", error.kind());
                let remedy = "let this account read it, or remove it";
                self.faults.push(Fault::new("(file)", Some(at_line(1)), problem, remedy));
            }
        }
    }

    /// The variables of `.env`, if there is one.
    pub fn read_dot_env(&mut self, folder: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut faulty = |problem: String| {
            let remedy = "write NAME=value, with quotes around values that hold spaces";
            let source = Source::DotEnv("a line".to_owned());
            self.faults.push(Fault::new("(file)", Some(source), problem, remedy));
        };
        let file = match fs::File::open(folder.join(".env")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return found,
            Err(error) => {
                faulty(format!("the file can't be read: {}", error.kind()));
                return found;
            }
        };
        for item in dotenvy::Iter::new(file) {
            match item {
                Ok((name, value)) => {
                    found.insert(name, value);
                }
                // The library's text quotes the line, which may hold a secret.
                Err(dotenvy::Error::LineParse(..)) => faulty("can't be read".to_owned()),
                Err(error) => {
                    faulty(format!("the file can't be read: {error}"));
                    break;
                }
            }
        }
        found
    }

    fn add(&mut self, name: &str, value: Value, source: Source) {
        match Key::find(name) {
            Some(key) => self.add_known(key, name, value, source),
            None => self.faults.push(unknown(name, source)),
        }
    }

    /// A value that won't do is a fault, and doesn't hide the one of the layer below.
    fn add_known(&mut self, key: &Key, name: &str, value: Value, source: Source) {
        if key.kind.accepts(&value) {
            self.entries.insert(name.to_owned(), Entry { value, source });
        } else {
            let expected = key.kind.expected();
            let fault = Fault::new(name, Some(source), "is not valid", format!("give {expected}"));
            self.faults.push(fault);
        }
    }

    /// Adds the variables that are settings. `source` says what a variable of a name is called.
    pub fn add_variables(
        &mut self,
        variables: &BTreeMap<String, String>,
        source: impl Fn(&str) -> Source,
    ) {
        for (variable, text) in variables {
            // Compose files pass on what isn't set as an empty text.
            if text.is_empty() {
                continue;
            }
            match Meaning::of(variable, text) {
                Meaning::Nothing => {}
                // What the system couldn't read arrives like this.
                Meaning::Setting(name, key) if text.contains('\u{fffd}') => {
                    let remedy = format!("give {}", key.kind.expected());
                    let problem = "is not valid UTF-8";
                    self.faults.push(Fault::new(&name, Some(source(variable)), problem, remedy));
                }
                Meaning::Setting(name, key) => {
                    self.add_known(key, &name, key.kind.read(text), source(variable));
                }
                Meaning::FileOf(name, key) => {
                    let twin = variable.trim_end_matches("_FILE");
                    if variables.get(twin).is_some_and(|text| !text.is_empty()) {
                        let problem = format!("is given by {twin} as well");
                        let fault =
                            Fault::new(&name, Some(source(variable)), problem, "set one of them");
                        self.faults.push(fault);
                    } else {
                        self.add_secret_file(key, &name, Path::new(text), source(variable));
                    }
                }
                Meaning::Unknown => {
                    let known = keys::names()
                        .flat_map(|name| [variable_of(&name), general_variable(&name)]);
                    let chosen = [ENVIRONMENT, CONFIG_DIR].map(str::to_owned);
                    let near = keys::nearest(variable, known.chain(chosen));
                    let name = name_of(variable.trim_start_matches(PREFIX));
                    self.faults.push(Fault::new(
                        &name,
                        Some(source(variable)),
                        "there is no such setting",
                        near.map_or_else(
                            || "see docs/settings.md for all names".to_owned(),
                            |near| format!("did you mean {near}?"),
                        ),
                    ));
                }
            }
        }
    }

    fn add_secret_file(&mut self, key: &Key, name: &str, path: &Path, variable: Source) {
        match fs::read_to_string(path) {
            Ok(text) => {
                let source =
                    Source::SecretFile { variable: Box::new(variable), path: path.to_owned() };
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                self.add_known(key, name, Value::String(text), source);
            }
            Err(error) => self.faults.push(Fault::new(
                name,
                Some(variable),
                format!("the file can't be read: {}", error.kind()),
                format!("give the path of a file that holds {}", key.kind.expected()),
            )),
        }
    }

    /// Names that are missing although others of their group are there, such as a platform's
    /// minimum version.
    pub fn require_groups(&mut self) {
        let groups: Vec<String> = self
            .entries
            .keys()
            .filter(|name| name.starts_with("release."))
            .filter_map(|name| name.rsplit_once('.').map(|(group, _)| group.to_owned()))
            .collect();
        let members = ["minimum_version", "latest_version", "force_upgrade"];
        for group in std::collections::BTreeSet::from_iter(groups) {
            for name in members.map(|member| format!("{group}.{member}")) {
                let reported = self.faults.iter().any(|fault| fault.key == name);
                if let Some(key) = Key::find(&name)
                    && !self.entries.contains_key(&name)
                    && !reported
                {
                    let remedy = format!("give {}", key.kind.expected());
                    self.faults.push(Fault::new(&name, None, "is missing", remedy));
                }
            }
        }
    }
}

/// What a variable is to us.
enum Meaning {
    Nothing,
    Setting(String, &'static Key),
    FileOf(String, &'static Key),
    Unknown,
}

impl Meaning {
    fn of(variable: &str, text: &str) -> Self {
        if let Some(meaning) = Self::known(variable) {
            return meaning;
        }
        let twin = variable.strip_suffix("_FILE").and_then(Self::known);
        if let Some(Self::Setting(name, key)) = twin
            && key.kind.is_secret()
        {
            return Self::FileOf(name, key);
        }
        match variable.strip_prefix(PREFIX) {
            // Kubernetes sets such for a service that is called twofold.
            Some("PORT") if text.contains("://") => Self::Nothing,
            Some(rest)
                if ["SERVICE_HOST", "SERVICE_PORT", "PORT_"]
                    .iter()
                    .any(|own| rest.starts_with(own)) =>
            {
                Self::Nothing
            }
            Some(_) if variable != ENVIRONMENT && variable != CONFIG_DIR => Self::Unknown,
            _ => Self::Nothing,
        }
    }

    fn known(variable: &str) -> Option<Self> {
        let well_known = WELL_KNOWN.iter().find(|(known, _)| *known == variable);
        let name = match well_known {
            Some((_, name)) => (*name).to_owned(),
            None => name_of(variable.strip_prefix(PREFIX)?),
        };
        Key::find(&name).map(|key| Self::Setting(name, key))
    }
}

fn name_of(rest: &str) -> String {
    rest.to_lowercase().replace("__", ".")
}

/// The variable that overrides a setting; the well-known one if there is one.
pub fn variable_of(name: &str) -> String {
    match WELL_KNOWN.iter().find(|(_, known)| *known == name) {
        Some((variable, _)) => (*variable).to_owned(),
        None => general_variable(name),
    }
}

/// The variable as it is called by the rule.
fn general_variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('.', "__"))
}

fn unknown(name: &str, source: Source) -> Fault {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.len() > 100 || !name.chars().all(is_name) {
        // Whatever it is, it may not be for others' eyes.
        let remedy = "see docs/settings.md for all names";
        return Fault::new("(a key)", Some(source), "there is no such setting", remedy);
    }
    let inside = format!("{name}.");
    if keys::names().any(|known| known.starts_with(&inside)) {
        let remedy = format!("write its settings below [{name}]");
        return Fault::new(name, Some(source), "is a section, not a value", remedy);
    }
    let remedy = match keys::nearest(name, keys::names()) {
        Some(near) => format!("did you mean {near}?"),
        None => match siblings(name) {
            known if known.is_empty() => "see docs/settings.md for all names".to_owned(),
            known => format!("known here: {}", known.join(", ")),
        },
    };
    Fault::new(name, Some(source), "there is no such setting", remedy)
}

/// The settings of the same section, without its name.
fn siblings(name: &str) -> Vec<String> {
    let Some((section, _)) = name.rsplit_once('.') else { return Vec::new() };
    let inside = format!("{section}.");
    keys::names().filter_map(|known| known.strip_prefix(&inside).map(str::to_owned)).collect()
}

/// The values of a table by dotted name, each with the place where its key stands.
fn flatten(above: &str, table: &DeTable<'_>, found: &mut Vec<(String, usize, Value)>) {
    for (key, value) in table {
        let part = key.get_ref();
        let name = if above.is_empty() { part.to_string() } else { format!("{above}.{part}") };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(&name, inner, found),
            value => found.push((name, key.span().start, plain(value))),
        }
    }
}

/// The kinds of values that settings have; others become ones that no setting takes.
fn plain(value: &DeValue<'_>) -> Value {
    let none = || Value::Table(toml::Table::new());
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| none(), Value::Integer),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| plain(item.get_ref())).collect())
        }
        _ => none(),
    }
}
