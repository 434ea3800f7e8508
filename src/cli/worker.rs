//! `worker`: works on jobs, and answers no requests.

use super::{output::Outcome, serve::told_to_stop};
use crate::{
    adapters::clock::Clock,
    bootstrap::{self, Background, Database},
    config::Settings,
    jobs,
    telemetry::Losses,
};

/// Works until Ctrl-C or SIGTERM, then lets jobs end.
pub(super) async fn worker(settings: Settings, losses: Losses) -> Outcome {
    let mut database = Database::open_shared(&settings).await?;
    let worked = work(&settings, &database, &losses).await;
    database.stop();
    worked
}

async fn work(settings: &Settings, database: &Database, losses: &Losses) -> Outcome {
    for version in database.migrate().await? {
        tracing::info!("applied migration {version}");
    }
    // The embedded one belongs to the process that serves.
    let storage = match settings.storage.bucket {
        Some(_) => bootstrap::storage(settings).await?,
        None => None,
    };
    let registry = jobs::registry();
    let core = bootstrap::core(settings, database, storage, &registry, Clock::default())?;
    bootstrap::observe(settings, &core, losses).await?;
    let mut background = Background::start(database, &core);
    background.work(settings, database, &core, registry);
    tracing::info!("working on jobs, {} at a time", settings.jobs.slots);
    told_to_stop().await;
    background.stop(settings).await;
    tracing::info!("stopped");
    Ok(())
}
