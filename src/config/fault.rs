//! What is wrong with the settings, and what to do about it.

use std::fmt;

use serde::Serialize;

use super::layers::Source;

/// One thing that is wrong. It never holds a value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub key: String,
    /// Where the value was found; `None` when there is none.
    pub source: Option<String>,
    pub problem: String,
    pub remedy: String,
}

impl Fault {
    pub(super) fn new(
        key: &str,
        source: Option<Source>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            key: key.to_owned(),
            source: source.map(|source| source.to_string()),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug)]
pub struct ConfigError {
    pub faults: Vec<Fault>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => f.write_str("the settings have a fault:")?,
            count => write!(f, "the settings have {count} faults:")?,
        }
        for fault in &self.faults {
            let source = fault.source.as_ref().map(|s| format!(" ({s})")).unwrap_or_default();
            write!(f, "\n  - {}{source}: {}; {}", fault.key, fault.problem, fault.remedy)?;
        }
        Ok(())
    }
}
