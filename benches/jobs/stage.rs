//! A database, and processes' parts that work on its jobs.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use diesel_async::SimpleAsyncConnection;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};
use twofold::{
    adapters::clock::Clock,
    bootstrap::{self, Database},
    config::Settings,
    db::migrations,
    embedded::postgres::Postgres,
    jobs::{Context, Handler, JobError, Registry},
    services::{Core, jobs::Job},
};

use crate::postgres;

/// How many have been done.
pub static DONE: AtomicUsize = AtomicUsize::new(0);
/// When the last one began.
pub static STARTED: Mutex<Option<Instant>> = Mutex::new(None);

/// A job that does nothing.
#[derive(Serialize, Deserialize)]
pub struct Nothing {}

impl Job for Nothing {
    const KIND: &'static str = "bench.nothing";
}

impl Handler for Nothing {
    type Output = ();

    async fn run(self, _context: Context) -> Result<(), JobError> {
        STARTED.lock().expect("nobody panics").get_or_insert_with(Instant::now);
        DONE.fetch_add(1, Relaxed);
        Ok(())
    }
}

fn registry() -> Registry {
    Registry::default().handle::<Nothing>()
}

pub struct Stage {
    pub core: Core,
    postgres: Postgres,
    url: String,
    _dir: tempfile::TempDir,
}

/// A worker that runs.
pub struct Working {
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
    bus: JoinHandle<()>,
}

impl Working {
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.worker.await.expect("it ends");
        self.bus.abort();
    }
}

async fn core(url: &str, slots: usize) -> (Settings, Database, Core) {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = Settings::from_variables([
        variable("TWOFOLD_ENV", "test"),
        variable("DATABASE_URL", url),
        variable("TWOFOLD_DATA_DIR", env!("CARGO_TARGET_TMPDIR")),
        variable("TWOFOLD_JOBS__SLOTS", &slots.to_string()),
    ]);
    let settings = settings.expect("settings");
    let database = Database::open(&settings).await.expect("database");
    let clock = Clock::default();
    let core = bootstrap::core(&settings, &database, None, &registry(), clock).expect("core");
    (settings, database, core)
}

impl Stage {
    pub async fn start() -> Self {
        let mut builder = tempfile::Builder::new();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let dir = builder.permissions(open).tempdir().expect("a folder");
        let postgres = postgres::start(dir.path(), &[]).await;
        let url = postgres.url();
        migrations::up(&url.clone().into()).await.expect("migrations");
        let (_, _, core) = core(&url, 1).await;
        Self { core, postgres, url, _dir: dir }
    }

    pub fn stop(mut self) {
        self.postgres.stop();
    }

    /// A worker, as a process would have it.
    pub async fn work(&self, slots: usize) -> Working {
        let (settings, database, core) = core(&self.url, slots).await;
        let (stop, stopped) = watch::channel(false);
        let worker = bootstrap::worker(&settings, &database, &core, Arc::new(registry()));
        let bus = tokio::spawn(core.bus.clone().run(self.url.clone().into()));
        let worker = tokio::spawn(worker.run(stopped));
        tokio::task::yield_now().await;
        Working { stop, worker, bus }
    }

    /// What another process has that stores jobs and tells of them.
    pub async fn another_process(&self) -> (Core, JoinHandle<()>) {
        let core = self.silent_process().await;
        let telling = tokio::spawn(core.bus.clone().run(self.url.clone().into()));
        (core, telling)
    }

    /// The same, but it tells nobody.
    pub async fn silent_process(&self) -> Core {
        let (_, _, core) = core(&self.url, 1).await;
        core.db.ping().await.expect("the database");
        core
    }

    pub async fn execute(&self, sql: &str) {
        let mut conn = self.core.db.conn().await.expect("a connection");
        conn.batch_execute(sql).await.expect("done");
    }

    pub async fn clear(&self) {
        self.execute("TRUNCATE jobs CASCADE").await;
    }

    pub async fn make_history(&self, count: u32) {
        self.execute("SET statement_timeout = 0").await;
        self.execute(&format!(
            "SET statement_timeout = 0;
             INSERT INTO jobs (id, queue, kind, payload, priority, state, run_at, attempts,
                 max_attempts, lease, crashes, is_suspect, cancel_requested, progress, request_id,
                 started_at, finished_at, created_at, updated_at)
             SELECT gen_random_uuid(), 'default', 'bench.nothing', '{{}}', 1, 'succeeded', t, 1, 12, 1,
                 0, false, false, 100, 'bench', t, t, t, t
             FROM (SELECT now() - n * interval '0.1 seconds' AS t
                   FROM generate_series(1, {count}) AS n) AS times;
             ANALYZE jobs;"
        ))
        .await;
    }

    /// A count.
    pub async fn number(&self, sql: &str) -> i64 {
        let (client, connection) =
            tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.expect("connected");
        tokio::spawn(connection);
        client.query_one(sql, &[]).await.expect("asked").get(0)
    }
}
