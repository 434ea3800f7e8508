//! `config`: what is in effect.

use clap::Subcommand;
use serde_json::json;

use super::output::{Outcome, Output, table};
use crate::config::Loaded;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Check all settings, and print each with where it comes from; secrets are hidden
    #[command(after_help = "Examples:
  twofold config check
  TWOFOLD_ENV=production twofold config check")]
    Check,
}

pub(super) fn check(loaded: &Loaded, output: Output) -> Outcome {
    let environment = loaded.settings.environment.to_string();
    let mut rows = vec![["SETTING", "VALUE", "FROM"].map(String::from).into()];
    rows.extend(loaded.effective.iter().map(|one| {
        let value = match (&one.value, &one.source) {
            (Some(value), _) => value.to_string(),
            (None, Some(_)) => "(hidden)".to_owned(),
            (None, None) => "(not set)".to_owned(),
        };
        vec![one.key.clone(), value, one.source.clone().unwrap_or_default()]
    }));
    let text = format!("The settings are valid. Environment: {environment}\n\n{}", table(&rows));
    output.show(&json!({"environment": environment, "settings": loaded.effective}), text)
}
