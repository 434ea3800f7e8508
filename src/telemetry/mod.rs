//! Logs: lines for people or machines on standard error, and files by day. Every line of a request
//! stands in its span and so carries the request id.

mod backtrace;
mod chain;
mod files;

use std::{
    io::{self, BufWriter, IsTerminal},
    path::PathBuf,
};

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::{Filter, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

pub use backtrace::{Backtrace, show_backtraces};
pub use chain::Chain;
use files::DailyFile;

use crate::adapters::clock::Clock;

/// The target of SQL statements, which have a file of their own.
pub const SQL: &str = "twofold::sql";

/// What is logged, how and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// In the syntax of `EnvFilter`; what can't be read in it is left out.
    pub filter: String,
    /// Lines on standard error as JSON. Files are JSON always.
    pub json: bool,
    /// The folder of the files, if there shall be any.
    pub dir: Option<PathBuf>,
    /// Whether all statements stand on standard error where they have no file of their own;
    /// otherwise only slow and failed ones do.
    pub sql_without_file: bool,
    /// How many days the files are kept, today included.
    pub retention_days: u32,
    /// On a developer's own machine: libraries may write their finest lines, which can hold what
    /// callers sent, and faults and panics come with a backtrace.
    pub is_development: bool,
}

/// Writes out what is still to be written when it is dropped.
#[must_use]
pub struct Guard {
    /// The folder of the files, if there are any.
    pub dir: Option<PathBuf>,
    _workers: Vec<WorkerGuard>,
}

/// Sets up logging for the process; a second call, as in tests, keeps the first. Lines are written
/// by threads of their own, so that a slow disk or terminal holds up no request.
///
/// # Errors
/// When the folder of the files can't be used; nothing is set up then.
pub fn init(options: &Options, clock: &Clock) -> io::Result<Guard> {
    let mut workers = Vec::new();
    let mut writer = |worker: (NonBlocking, WorkerGuard)| {
        workers.push(worker.1);
        worker.0
    };
    let mut file = |name: &'static str| -> io::Result<Option<NonBlocking>> {
        let Some(dir) = &options.dir else { return Ok(None) };
        let file = DailyFile::open(dir, name, options.retention_days, clock.clone())?;
        Ok(Some(writer(tracing_appender::non_blocking(file))))
    };
    let (application, sql) = (file("application")?, file("sql")?);
    let terminal = writer(tracing_appender::non_blocking(BufWriter::new(io::stderr())));

    let all_sql = sql.is_none() && options.sql_without_file;
    let wanted =
        move |meta: &Metadata<'_>| meta.target() != SQL || all_sql || *meta.level() <= Level::WARN;
    let layer = fmt::layer().with_writer(terminal).with_target(false);
    let terminal = if options.json {
        json(layer).boxed()
    } else {
        layer
            .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .boxed()
    };
    let application = application.map(|writer| json(fmt::layer().with_writer(writer)));
    let sql = sql.map(|writer| json(fmt::layer().with_writer(writer)));
    let _ = tracing_subscriber::registry()
        .with(terminal.with_filter(lines(options).and(filter_fn(wanted))))
        .with(application.with_filter(lines(options).and(filter_fn(|meta| meta.target() != SQL))))
        .with(sql.with_filter(filter_fn(|meta| meta.is_span() || meta.target() == SQL)))
        .try_init();

    show_backtraces(options.is_development);
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(location, "panic: {message}{}", Backtrace::here());
    }));
    Ok(Guard { dir: options.dir.clone(), _workers: workers })
}

/// The lines that were asked for. Statements have a switch of their own.
fn lines<S>(options: &Options) -> impl Filter<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let libraries = if options.is_development { LevelFilter::TRACE } else { LevelFilter::INFO };
    let limited =
        filter_fn(move |meta| meta.target().starts_with("twofold") || *meta.level() <= libraries);
    EnvFilter::new(&options.filter).or(filter_fn(|meta| meta.target() == SQL)).and(limited)
}

/// One object for each line, with the request's span.
fn json<S, W>(
    layer: fmt::Layer<S, fmt::format::DefaultFields, fmt::format::Format, W>,
) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    layer.json().flatten_event(true).with_current_span(true).with_span_list(false).with_target(true)
}
