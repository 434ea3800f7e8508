//! `config`: what is in effect.

use clap::Subcommand;
use serde_json::json;

use super::output::{Outcome, Output, table};
use crate::config::Loaded;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Check all settings, and print each with where it comes from; secrets are hidden
    Check,
}

pub(super) fn check(loaded: &Loaded, output: Output) -> Outcome {
    let environment = loaded.settings.environment.to_string();
    let mut rows = vec![["SETTING", "VALUE", "FROM"].map(String::from).into()];
    rows.extend(loaded.effective.iter().map(|one| {
        let value = one.value.as_ref().map_or("(hidden)".to_owned(), ToString::to_string);
        vec![one.key.clone(), value, one.source.clone()]
    }));
    let text = format!("The settings are valid. Environment: {environment}\n\n{}", table(&rows));
    output.show(&json!({"environment": environment, "settings": loaded.effective}), text)
}
