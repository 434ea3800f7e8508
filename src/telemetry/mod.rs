//! Logs: lines for people or machines on standard error; and JSON lines in files by day, or in a
//! Redis Stream from which they are collected into such files. Every line of a request stands in
//! its span and so carries the request id.

mod backtrace;
mod category;
mod chain;
mod collected;
mod collector;
mod files;
mod group;
mod losses;
pub mod metrics;
mod shipper;
mod sink;
mod stream;

use std::{
    io::{self, BufWriter, IsTerminal},
    path::PathBuf,
    sync::OnceLock,
};

use chrono::NaiveDate;
use tokio::sync::mpsc;
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::{Filter, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

pub use backtrace::{Backtrace, show_backtraces};
use category::Category;
pub use category::SQL;
pub use chain::Chain;
pub use collector::Collector;
use files::Folder;
pub use losses::Losses;
use shipper::Shipper;
use sink::{Files, Sink};

use crate::adapters::{clock::Clock, redis::Redis};

/// How lines stand on standard error. Elsewhere they are JSON always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    Text,
    Json,
}

/// That of the files of this process, if it writes any.
static FOLDER: OnceLock<Folder> = OnceLock::new();

/// What is logged, how and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// In the syntax of `EnvFilter`; what can't be read in it is left out.
    pub filter: String,
    /// How lines stand on standard error, if they go there.
    pub terminal: Option<Terminal>,
    /// Whether lines go to files.
    pub files: bool,
    /// Lines go there; what can't goes to files.
    pub redis: Option<Redis>,
    /// The folder of the files.
    pub dir: PathBuf,
    /// Whether all statements stand on standard error where that is all there is; otherwise only
    /// slow and failed ones do.
    pub sql_on_terminal: bool,
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
    pub losses: Losses,
    // Before the files: it may have lines for them.
    _shipper: Option<Shipper>,
    _workers: Vec<WorkerGuard>,
}

/// Removes the log files of days before the kept ones from the folder of this process, and returns how many.
/// The files also see to it themselves with the first line of each day.
pub fn prune(today: NaiveDate) -> usize {
    let prune = |folder: &Folder| Category::ALL.map(|one| folder.prune(one, today)).iter().sum();
    FOLDER.get().map_or(0, prune)
}

/// Sets up logging for the process; a second call, as in tests, keeps the first. Lines are written
/// by threads of their own, so that a slow disk, terminal or Redis holds up no request.
///
/// # Errors
/// When the folder of the files can't be used; nothing is set up then.
pub fn init(options: &Options, clock: &Clock) -> io::Result<Guard> {
    let (mut losses, mut workers) = (Losses::default(), Vec::new());
    let mut files = None;
    if options.files || options.redis.is_some() {
        let folder = Folder { path: options.dir.clone(), retention_days: options.retention_days };
        let (opened, guards) = Files::open(&folder, clock, &mut losses)?;
        let _ = FOLDER.set(folder);
        files = Some(opened);
        workers.extend(guards);
    }
    let terminal = options.terminal.map(|form| {
        let (writer, guard) = tracing_appender::non_blocking(BufWriter::new(io::stderr()));
        losses.too_fast.push(writer.error_counter());
        workers.push(guard);
        (form, writer)
    });
    let (mut queue, mut shipper) = (None, None);
    if let Some(redis) = &options.redis {
        let (sender, receiver) = mpsc::channel(sink::QUEUE);
        let files = files.clone().filter(|_| !options.files);
        shipper = Some(Shipper::start(redis.clone(), receiver, files, losses.clone())?);
        queue = Some(sender);
    }

    let all_sql = files.is_none() && options.sql_on_terminal;
    let wanted = move |meta: &Metadata<'_>| {
        Category::of(meta) != Category::Sql || all_sql || *meta.level() <= Level::WARN
    };
    let terminal = terminal.map(|(form, writer)| {
        let layer = fmt::layer().with_writer(writer).with_target(false);
        if form == Terminal::Json {
            return json(layer).boxed();
        }
        let is_coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        layer.with_ansi(is_coloured).boxed()
    });
    let sink = |category| {
        let (file, queue) = (files.as_ref()?.of(category).clone(), queue.clone());
        let diverted = losses.diverted.clone();
        Some(Sink { category, file, is_file: options.files, queue, diverted })
    };
    let of = |category| {
        filter_fn(move |meta: &Metadata<'_>| meta.is_span() || Category::of(meta) == category)
    };
    let application = sink(Category::Application).map(|sink| json(fmt::layer().with_writer(sink)));
    let sql = sink(Category::Sql).map(|sink| json(fmt::layer().with_writer(sink)));
    let _ = tracing_subscriber::registry()
        .with(terminal.with_filter(lines(options).and(filter_fn(wanted))))
        .with(application.with_filter(lines(options).and(of(Category::Application))))
        .with(sql.with_filter(of(Category::Sql)))
        .try_init();

    show_backtraces(options.is_development);
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(location, "panic: {message}{}", Backtrace::here());
    }));
    let dir = files.map(|_| options.dir.clone());
    Ok(Guard { dir, losses, _shipper: shipper, _workers: workers })
}

/// The lines that were asked for. Statements have a switch of their own.
fn lines<S>(options: &Options) -> impl Filter<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let libraries = if options.is_development { LevelFilter::TRACE } else { LevelFilter::INFO };
    let limited =
        filter_fn(move |meta| meta.target().starts_with("twofold") || *meta.level() <= libraries);
    EnvFilter::new(&options.filter)
        .or(filter_fn(|meta| Category::of(meta) == Category::Sql))
        .and(limited)
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
