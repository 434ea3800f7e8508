//! `serve`: everything in one process.

use std::{sync::Arc, time::Duration};

use poem::Route;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use super::output::Outcome;
use crate::{
    adapters::clock::Clock,
    bootstrap::{self, Database},
    config::{Environment, Settings},
    db::{Origin, migrations},
    jobs, server,
    services::{Core, staff},
};

/// Serves until Ctrl-C or SIGTERM, then stops everything that it started.
pub(super) async fn serve(settings: Settings) -> Outcome {
    // When a second instance finds the address taken by the first, that is what it should say.
    let listener = bootstrap::listener(&settings)
        .await
        .map_err(|error| Database::in_use(&settings).unwrap_or(error))?;
    let mut database = Database::open(&settings).await?;
    let served = serve_with(&settings, &database, listener).await;
    database.stop();
    served
}

async fn serve_with(
    settings: &Settings,
    database: &Database,
    listener: server::Listener,
) -> Outcome {
    for version in migrations::up(&database.direct_url).await? {
        tracing::info!("applied migration {version}");
    }
    let storage = bootstrap::storage(settings).await?;
    let core = Arc::new(bootstrap::core(settings, database, storage, Clock::default())?);
    let first_password = match settings.environment {
        Environment::Production => None,
        _ => staff::create_first(&core, &Origin::system("start")).await?,
    };
    let (stop_jobs, stopped) = watch::channel(false);
    let mail = tokio::spawn(jobs::mail::run(core.clone(), stopped));
    let application = bootstrap::application(settings, core.clone(), Route::new());
    let address = listener.base_url().unwrap_or_else(|| settings.server.listen.to_string());
    database.announce(&address);
    print_banner(settings, database, &core, &listener, first_password);

    let drain = Duration::from_millis(settings.server.drain_timeout_ms);
    let stop = {
        let core = core.clone();
        async move {
            server::stop_signal().await;
            core.health.shut_down();
            tracing::info!("stopping; a second Ctrl-C stops at once");
            tokio::spawn(async {
                server::stop_signal().await;
                std::process::exit(130);
            });
        }
    };
    let served = server::serve(listener, application, stop, drain).await;
    let _ = stop_jobs.send(true);
    let _ = tokio::time::timeout(drain, mail).await;
    tracing::info!("stopped");
    Ok(served?)
}

fn print_banner(
    settings: &Settings,
    database: &Database,
    core: &Core,
    listener: &server::Listener,
    first_password: Option<SecretString>,
) {
    // Below a Unix socket there are paths only.
    let base = listener.base_url().unwrap_or_default();
    let storage = if database.is_embedded() { "embedded PostgreSQL" } else { "PostgreSQL" };
    let (version, environment) = (env!("CARGO_PKG_VERSION"), settings.environment);
    println!("\n  Twofold {version} is ready ({environment}, {storage})\n");
    let line = |name: &str, path: &str| println!("  {name:<16}{base}{path}");
    if base.is_empty() {
        line("Listening on", &settings.server.listen.to_string());
    }
    line("Client API", "/api/v1");
    if settings.docs.enabled {
        line("  docs", "/client/docs");
        line("  ReDoc", "/client/redoc");
    }
    line("Backoffice API", "/api/v1/backoffice");
    if settings.docs.enabled {
        line("  docs", "/backoffice/docs");
        line("  ReDoc", "/backoffice/redoc");
        if core.mails.mailer.outbox_folder().is_some() {
            line("Outbox", "/outbox");
        }
    }
    line("Health", "/api/v1/config/health");
    if let Some(password) = first_password {
        println!("\n  The first super-admin (shown once):");
        println!("  {:<16}{}", "  address", staff::FIRST_EMAIL);
        println!("  {:<16}{}", "  password", password.expose_secret());
    }
    println!("\n  Stop with Ctrl-C.\n");
}
