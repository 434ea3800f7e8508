//! Logs and metrics, as the settings say.

use std::{io, path::PathBuf};

use super::{StartError, data_dir, data_dirs, limits, redis};
use crate::{
    adapters::{clock::Clock, random::Random},
    api::metrics::MetricsEndpoint,
    config::{self, LogSink, Settings},
    server::{self, Listener},
    services::Core,
    telemetry::{self, Collector, Losses, Terminal},
};

/// Sets up the logs: of a service as the settings say; of a command on the terminal only.
///
/// # Errors
/// When neither the folder of the settings nor one below the data directory can be written.
pub fn logging(settings: &Settings, is_service: bool) -> Result<telemetry::Guard, StartError> {
    let log = &settings.log;
    let has = |sink| is_service && log.sinks.contains(&sink);
    let form = match log.format {
        config::LogFormat::Text => Terminal::Text,
        config::LogFormat::Json => Terminal::Json,
    };
    let redis = if has(LogSink::Redis) { redis(settings)? } else { None };
    in_log_dir(settings, |dir| {
        let options = telemetry::Options {
            filter: log.filter.clone(),
            terminal: (!is_service || has(LogSink::Stdout)).then_some(form),
            files: has(LogSink::File),
            redis: redis.clone(),
            dir,
            sql_on_terminal: is_service,
            retention_days: log.retention_days,
            is_development: settings.environment == config::Environment::Development,
        };
        telemetry::init(&options, &Clock::default())
    })
}

/// One that collects log lines from Redis into files.
///
/// # Errors
/// When there is no Redis in the settings, or the files can't be written.
pub fn collector(settings: &Settings) -> Result<Collector, StartError> {
    let redis = redis(settings)?.ok_or(StartError::NoRedis)?;
    in_log_dir(settings, |dir| {
        let days = settings.log.retention_days;
        Collector::new(redis.clone(), dir, days, Clock::default(), Random)
    })
}

/// Does something with the folder of the log files: that of the settings, or one below the data
/// directory where nobody chose it and it can't be written.
fn in_log_dir<T>(
    settings: &Settings,
    work: impl Fn(PathBuf) -> io::Result<T>,
) -> Result<T, StartError> {
    let dir = &settings.log.dir;
    let failed = |source| StartError::Io { what: "can't write logs to", path: dir.clone(), source };
    match work(dir.clone()) {
        Err(error) if data_dir::is_barred(&error) && !settings.has_own_log_dir => {
            work(data_dir(settings)?.join("logs")).map_err(|_| failed(error))
        }
        outcome => outcome.map_err(failed),
    }
}

/// Has lost log lines told, and metrics served where the settings say, to the end of the process.
///
/// # Errors
/// When the address for metrics is taken.
pub async fn observe(settings: &Settings, core: &Core, losses: &Losses) -> Result<(), StartError> {
    core.metrics.watch_logs(losses.clone());
    tokio::spawn(losses.clone().report());
    if let Some(listen) = &settings.metrics.listen {
        let listener = Listener::bind(listen, None).await?;
        let endpoint = MetricsEndpoint(core.metrics.clone());
        tokio::spawn(server::serve(listener, endpoint, limits(settings), std::future::pending()));
    }
    Ok(())
}

/// Where log files may be, the preferred place first; makes nothing.
pub fn log_dirs(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let others = data_dirs(settings).map(|dir| dir.join("logs"));
    let others = others.filter(|_| !settings.has_own_log_dir);
    std::iter::once(settings.log.dir.clone()).chain(others)
}
