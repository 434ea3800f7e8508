//! `serve`: everything in one process.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    banner::Banner,
    output::{Outcome, Output},
};
use crate::{
    adapters::clock::Clock,
    api::Additions,
    bootstrap::{self, Background, Database},
    config::{Environment, Settings},
    db::Origin,
    jobs, server,
    services::staff,
    telemetry::Losses,
};

/// What was set up before.
pub(super) struct Logs {
    /// The folder of the files, if there are any.
    pub dir: Option<PathBuf>,
    pub losses: Losses,
}

/// Serves until Ctrl-C or SIGTERM, then stops everything that it started.
pub(super) async fn serve(settings: Settings, logs: Logs, output: Output) -> Outcome {
    // When a second instance finds the address taken by the first, that is what it should say.
    let listener = bootstrap::listener(&settings)
        .await
        .map_err(|error| Database::in_use(&settings).unwrap_or(error))?;
    let mut database = Database::open(&settings).await?;
    let served = serve_with(&settings, &database, listener, logs, output).await;
    database.stop();
    served
}

async fn serve_with(
    settings: &Settings,
    database: &Database,
    listener: server::Listener,
    logs: Logs,
    output: Output,
) -> Outcome {
    for version in database.migrate().await? {
        tracing::info!("applied migration {version}");
    }
    let storage = bootstrap::storage(settings).await?;
    let registry = jobs::registry();
    let core = bootstrap::core(settings, database, storage, &registry, Clock::default())?;
    let core = Arc::new(core);
    // Where others see what it prints, an operator adds the first admin.
    let first_password = match settings.environment {
        Environment::Preview | Environment::Production => None,
        Environment::Development | Environment::Test => {
            staff::create_first(&core, &Origin::system("start")).await?
        }
    };
    bootstrap::observe(settings, &core, &logs.losses).await?;
    let mut background = Background::start(database, &core);
    if settings.jobs.in_process {
        background.work(settings, database, &core, registry);
    }
    let application = bootstrap::application(settings, core.clone(), Additions::default());
    let (listen, base_url) = (settings.server.listen.to_string(), listener.base_url());
    database.announce(base_url.as_ref().unwrap_or(&listen));
    let banner = Banner {
        environment: settings.environment.to_string(),
        has_embedded_database: database.is_embedded(),
        listen,
        base_url: base_url.unwrap_or_default(),
        has_docs: settings.docs.enabled,
        has_outbox: core.mails.mailer.outbox_folder().is_some(),
        data: database.is_embedded().then(|| bootstrap::data_dir(settings)).transpose()?.map(near),
        cluster: database.folder_elsewhere(settings)?,
        logs: logs.dir,
        first_password,
    };
    if let Err(error) = banner.show(output) {
        let advice = "if a first super-admin was made, `admin reset-password` gives a new password";
        return Err(format!("can't print where it is ({error}); {advice}").into());
    }

    let limits = bootstrap::limits(settings);
    let delay = Duration::from_millis(settings.server.shutdown_delay_ms);
    let stop = {
        let core = core.clone();
        async move {
            told_to_stop().await;
            core.health.shut_down();
            // Until those who ask for readiness have heard of it.
            tokio::time::sleep(delay).await;
        }
    };
    server::serve(listener, application, limits, stop).await;
    background.stop(settings).await;
    tracing::info!("stopped");
    Ok(())
}

/// Resolves at Ctrl-C or SIGTERM; another one ends the process at once.
pub(super) async fn told_to_stop() {
    server::stop_signal().await;
    tracing::info!("stopping; a second Ctrl-C stops at once");
    tokio::spawn(async {
        server::stop_signal().await;
        std::process::exit(130);
    });
}

/// As somebody who stands in the working directory would write it.
fn near(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let below = here.ok().and_then(|here| path.strip_prefix(here).map(PathBuf::from).ok());
    below.unwrap_or(path)
}
