//! `log-consumer`: collects log lines from Redis into files.

use serde_json::json;
use tokio::sync::watch;

use super::output::{Outcome, Output};
use crate::{bootstrap, config::Settings, server, telemetry::Collector};

/// Collects until Ctrl-C or SIGTERM.
pub(super) async fn run(settings: &Settings, output: Output) -> Outcome {
    let collector = bootstrap::collector(settings)?;
    let dir = collector.dir().to_owned();
    let text = format!("collecting log lines into {}\nStop with Ctrl-C.", dir.display());
    output.show(&json!({"collecting_into": dir}), text)?;
    let collected = collect(collector).await;
    output.show(&json!({"collected": collected}), format!("collected {collected} lines"))
}

async fn collect(collector: Collector) -> u64 {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        server::stop_signal().await;
        let _ = stop.send(true);
        server::stop_signal().await;
        std::process::exit(130);
    });
    collector.run(stopped).await
}
