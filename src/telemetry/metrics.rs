//! What Prometheus reads: counts of this process, in the OpenMetrics text format 1.0.
//!
//! Every combination of labels is a series that is kept for the life of the process: labels hold
//! what the program chooses from, never what callers send.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

use super::Losses;

/// The format that [`Metrics::render`] writes, as `Content-Type` names it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long what is asked for at a scrape may take; what takes longer shows its last state.
const LIMIT: Duration = Duration::from_secs(1);

/// In seconds: from what a lookup takes to the time limit of requests.
const DURATIONS: [f64; 11] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

type Hook = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// All metrics of the process. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: RwLock<Registry>,
    hooks: Mutex<Vec<Hook>>,
    requests: Family<Request, Counter>,
    durations: Family<Operation, Histogram, fn() -> Histogram>,
    refused: Counter,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    surface: &'static str,
    method: &'static str,
    route: Arc<str>,
    status: &'static str,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    surface: &'static str,
    method: &'static str,
    route: Arc<str>,
}

/// The state of a connection to the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connection {
    state: &'static str,
}

impl Metrics {
    /// Those that every process has, which was started then.
    #[must_use]
    pub fn new(started: DateTime<Utc>) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATIONS);
        let metrics = Self(Arc::new(Inner {
            registry: RwLock::default(),
            hooks: Mutex::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            refused: Counter::default(),
        }));
        let start = Gauge::<f64, AtomicU64>::default();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds fit for 285,000 years")]
        start.set(started.timestamp_millis() as f64 / 1000.0);
        let inner = &metrics.0;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        metrics.register("process_start_time_seconds", "When the process was started", start);
        metrics.register("twofold_build", "What runs", build);
        metrics.register(
            "twofold_http_requests",
            "Requests that were answered, refused ones aside",
            inner.requests.clone(),
        );
        metrics.register(
            "twofold_http_request_duration_seconds",
            "How long the answers took",
            inner.durations.clone(),
        );
        metrics.register(
            "twofold_http_requests_refused",
            "Requests that were refused because there was too much to do",
            inner.refused.clone(),
        );
        metrics
    }

    /// Adds a metric. Counters get `_total` behind their name.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.0
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .register(name, help, metric);
    }

    /// Calls this before each reading, for gauges whose values have to be asked for. It may take
    /// a second.
    pub fn on_scrape<F>(&self, hook: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hook: Hook = Arc::new(move || Box::pin(hook()));
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    /// Counts an answer. The route is one of those that there are, or `other`.
    pub fn answered(&self, method: &'static str, route: Arc<str>, status: u16, took: Duration) {
        let surface = surface_of(&route);
        let operation = Operation { surface, method, route: route.clone() };
        self.0.durations.get_or_create(&operation).observe(took.as_secs_f64());
        let status = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.0.requests.get_or_create(&Request { surface, method, route, status }).inc();
    }

    /// Counts a request that was refused because there was too much to do.
    pub fn refused(&self) {
        self.0.refused.inc();
    }

    /// Shows the connections to the database: those in use and those idle, when asked.
    pub fn watch_connections(&self, state: impl Fn() -> (u32, u32) + Send + Sync + 'static) {
        let connections = Family::<Connection, Gauge>::default();
        let help = "Connections of the pool to the database";
        self.register("twofold_db_connections", help, connections.clone());
        self.on_scrape(move || {
            let (in_use, idle) = state();
            for (state, count) in [("in_use", in_use), ("idle", idle)] {
                connections.get_or_create(&Connection { state }).set(count.into());
            }
            std::future::ready(())
        });
    }

    /// Shows the kept connection to Redis: whether there is one, and how many commands have failed.
    pub fn watch_redis(&self, state: impl Fn() -> (bool, u64) + Send + Sync + 'static) {
        let (connected, failures) = (Gauge::<i64>::default(), Counter::<u64>::default());
        let help = "Whether commands are sent to Redis: 1, or 0 while it can't be used";
        self.register("twofold_redis_connected", help, connected.clone());
        let help = "Commands to Redis that failed, those aside that were not sent";
        self.register("twofold_redis_failures", help, failures.clone());
        self.on_scrape(move || {
            let (is_connected, failed) = state();
            connected.set(is_connected.into());
            failures.inc_by(failed.saturating_sub(failures.get()));
            std::future::ready(())
        });
    }

    /// Shows the log lines that aren't where they should be.
    pub fn watch_logs(&self, losses: Losses) {
        let (dropped, diverted) = (Counter::<u64>::default(), Counter::<u64>::default());
        let help = "Log lines that could not be written in time, nor in any other place";
        self.register("twofold_log_lines_dropped", help, dropped.clone());
        let help = "Log lines for Redis that are in local files";
        self.register("twofold_log_lines_diverted", help, diverted.clone());
        self.on_scrape(move || {
            for (counter, now) in [(&dropped, losses.dropped()), (&diverted, losses.diverted())] {
                counter.inc_by(now.saturating_sub(counter.get()));
            }
            std::future::ready(())
        });
    }

    /// All of them as text.
    ///
    /// # Errors
    /// When one of them can't be written: a fault of the program.
    pub async fn render(&self) -> Result<String, fmt::Error> {
        let hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _ = tokio::time::timeout(LIMIT, join_all(hooks.iter().map(|hook| hook()))).await;
        let mut all = String::new();
        text::encode(&mut all, &self.0.registry.read().unwrap_or_else(PoisonError::into_inner))?;
        Ok(all)
    }
}

/// Whom a route is for: `/api/<version>/backoffice/…`, `/api/<version>/…`, or anything else.
fn surface_of(route: &str) -> &'static str {
    let mut parts = route.split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("api"), Some(_), Some("backoffice")) => "backoffice",
        (Some("api"), Some(_), _) => "client",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_tell_their_surface() {
        for (route, surface) in [
            ("/api/v1/users/me", "client"),
            ("/api/v1/backoffice/users/:id", "backoffice"),
            ("/api/v1", "client"),
            ("/client/docs", "other"),
            ("other", "other"),
        ] {
            assert_eq!(surface_of(route), surface, "{route}");
        }
    }

    #[tokio::test]
    async fn what_is_asked_for_at_a_scrape_is_there_or_not_waited_for() {
        let metrics = Metrics::new(DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(1500));
        let gauge = Gauge::<i64>::default();
        metrics.register("example", "An example", gauge.clone());
        metrics.on_scrape(move || {
            let gauge = gauge.clone();
            async move {
                gauge.set(7);
            }
        });
        metrics.on_scrape(std::future::pending);
        let text = metrics.render().await.expect("written");
        assert!(text.contains("\nexample 7\n"), "{text}");
        assert!(text.contains("\nprocess_start_time_seconds 1.5\n"), "{text}");
        assert!(text.contains("\ntwofold_build_info{version=\""), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
