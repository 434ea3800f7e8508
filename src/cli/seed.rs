//! `seed`: demo data.

use std::io::IsTerminal;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret;
use serde_json::json;

use super::output::{Outcome, Output};
use crate::{
    adapters::clock::Clock,
    bootstrap::{self, Database},
    config::{Environment, Settings},
    db::migrations,
    services::demo,
};

#[derive(Debug, Args)]
pub(super) struct Seed {
    /// How many demo users there shall be; those of an earlier run count
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    users: u32,
}

pub(super) async fn run(settings: &Settings, seed: &Seed, output: Output) -> Outcome {
    if settings.environment == Environment::Production {
        return Err("production takes no demo data".into());
    }
    let mut database = Database::open_shared(settings).await?;
    let done = fill(settings, &database, seed, output).await;
    database.stop();
    done
}

async fn fill(settings: &Settings, database: &Database, seed: &Seed, output: Output) -> Outcome {
    migrations::up(&database.direct_url).await?;
    let core = bootstrap::core(settings, database, None, Clock::default())?;
    let bar = progress(seed.users.into());
    let seeded = demo::seed(&core, seed.users, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    let seeded = seeded?;
    let password = seeded.password.expose_secret();
    let text = match seeded.added {
        0 => "all of them are there already".to_owned(),
        added => format!(
            "added {added} demo users, {} to {}\npassword of each (shown once): {password}",
            demo::email(1),
            demo::email(seed.users)
        ),
    };
    let password = (seeded.added > 0).then_some(password);
    output.show(&json!({"added": seeded.added, "password": password}), text)
}

/// A bar on a terminal, and nothing elsewhere.
fn progress(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}, {per_sec}, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
