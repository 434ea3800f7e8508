//! `migrate`: the database's schema.

use clap::Subcommand;
use serde_json::json;

use super::output::{Outcome, Output};
use crate::{bootstrap::Database, config::Settings, db::migrations};

#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
    /// Apply what is missing
    #[command(after_help = "Example:
  twofold migrate up")]
    Up,
    /// Revert the newest migration
    #[command(after_help = "Example:
  twofold migrate down")]
    Down,
    /// List all migrations
    #[command(after_help = "Example:
  twofold migrate status")]
    Status,
}

pub(super) async fn run(settings: &Settings, command: Migrate, output: Output) -> Outcome {
    let mut database = Database::open_shared(settings).await?;
    let done = migrate(&database, command, output).await;
    database.stop();
    done
}

async fn migrate(database: &Database, command: Migrate, output: Output) -> Outcome {
    let url = &database.direct_url;
    match command {
        Migrate::Up => {
            let applied = database.migrate().await?;
            let mut lines: Vec<String> = applied.iter().map(|v| format!("applied {v}")).collect();
            lines.push("the schema is up to date".to_owned());
            output.show(&json!({"applied": applied}), lines.join("\n"))
        }
        Migrate::Down => {
            let reverted = migrations::down(url).await?;
            let text = match &reverted {
                Some(version) => format!("reverted {version}"),
                None => "nothing to revert".to_owned(),
            };
            output.show(&json!({"reverted": reverted}), text)
        }
        Migrate::Status => {
            let all = migrations::status(url).await?;
            let state = |applied| if applied { "applied" } else { "pending" };
            let lines: Vec<String> =
                all.iter().map(|m| format!("{:8} {}", state(m.applied), m.version)).collect();
            output.show(&json!({"migrations": all}), lines.join("\n"))
        }
    }
}
