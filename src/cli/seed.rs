//! `seed`: demo data.

use std::io::IsTerminal;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::output::{Outcome, Output};
use crate::{
    adapters::clock::Clock,
    bootstrap::{self, Database},
    config::{Environment, Settings},
    jobs,
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
    database.prepare_schema().await?;
    let core = bootstrap::core(settings, database, None, &jobs::registry(), Clock::default())?;
    let password = SecretString::from(core.random.password());
    if !output.json {
        // Before anything is added, so that it is known when this is stopped half-way.
        println!("password of each user that is added: {}", password.expose_secret());
    }
    let bar = progress(seed.users.into());
    let seeded = demo::seed(&core, seed.users, &password, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    let added = seeded?;
    let text = match added {
        0 => "all of them are there already".to_owned(),
        _ => format!("added {added}, up to {}", demo::email(seed.users)),
    };
    let password = (added > 0).then_some(password.expose_secret());
    output.show(&json!({"added": added, "password": password}), text)
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
