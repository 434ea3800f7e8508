//! Counts statements.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tracing::{
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::app::{Builder, TestApp};

/// Counts the statements that this thread runs, of applications that log them all.
pub struct Statements {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
}

struct Counter(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Counter {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut is_late = IsLate(false);
        event.record(&mut is_late);
        if event.metadata().target() == "twofold::sql" && !is_late.0 {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

/// What runs whenever there is time: a transaction that is left without a commit is rolled back, and what was counted
/// is stored.
struct IsLate(bool);

impl Visit for IsLate {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let statement = format!("{value:?}");
        let is_late =
            ["ROLLBACK", "INSERT INTO \"tallies\""].iter().any(|late| statement.contains(late));
        self.0 |= field.name() == "statement" && is_late;
    }
}

impl Statements {
    pub fn watch() -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let subscriber = tracing_subscriber::registry().with(Counter(count.clone()));
        Self { count, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// An application whose statements are counted. Looking for jobs takes some, too, so it does none.
    pub fn app() -> Builder {
        TestApp::builder()
            .setting("TWOFOLD_LOG__SQL", "all")
            .setting("TWOFOLD_JOBS__IN_PROCESS", "false")
    }

    /// How many statements the work takes, and what comes of it.
    pub async fn of<T>(&self, work: impl Future<Output = T>) -> (usize, T) {
        self.count.store(0, Relaxed);
        let outcome = work.await;
        (self.count.load(Relaxed), outcome)
    }
}
