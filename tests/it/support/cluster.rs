//! One private PostgreSQL for the whole run; each test gets a database cloned from a migrated
//! template, which is dropped when the test is done.

use std::{
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use twofold::{
    db::migrations,
    embedded::postgres::{Options, Postgres, PostgresError},
};

const TEMPLATE: &str = "template_migrated";

/// Faster than the product needs it, and safe: nothing here must survive the machine.
const SETTINGS: [&str; 4] =
    ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=300"];

enum Order {
    Create(String, oneshot::Sender<()>),
    Drop(String),
}

/// The thread that owns the cluster: tests come and go, each with a runtime of its own.
struct Cluster {
    orders: mpsc::Sender<Order>,
    url_of: Box<dyn Fn(&str) -> String + Send + Sync>,
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel();
    let (ready, started) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let postgres = start(&folder("postgres"), &SETTINGS).await;
            prepare(&postgres).await;
            ready.send(postgres.url_of("DATABASE")).expect("the tests wait");
            for order in inbox {
                match order {
                    Order::Create(name, done) => {
                        let sql = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
                        execute(&postgres, &sql).await;
                        let _ = done.send(());
                    }
                    Order::Drop(name) => {
                        execute(&postgres, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
                    }
                }
            }
        });
    });
    let url = started.recv().expect("the cluster starts");
    Cluster { orders, url_of: Box::new(move |name| url.replace("DATABASE", name)) }
});

/// A folder for this test binary's own use.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// To start a cluster with these server settings.
pub fn options(settings: &[&str]) -> Options {
    Options {
        own_binary: env!("CARGO_BIN_EXE_twofold").into(),
        settings: settings.iter().map(ToString::to_string).collect(),
        bin: std::env::var_os("PG_BIN").map(PathBuf::from),
        fetch: true,
    }
}

/// Starts a cluster; waits while another run of the tests uses the folder.
pub async fn start(folder: &Path, settings: &[&str]) -> Postgres {
    let options = options(settings);
    let started = Instant::now();
    loop {
        match Postgres::start(folder, &options).await {
            Err(PostgresError::InUse { .. }) if started.elapsed() < Duration::from_mins(5) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            outcome => return outcome.expect("the tests need PostgreSQL"),
        }
    }
}

/// Removes what a killed run left, and makes the template anew: migrations may have changed.
async fn prepare(postgres: &Postgres) {
    let client = connect(&postgres.url_of("postgres")).await;
    let left = client
        .query(
            "SELECT datname FROM pg_database WHERE datname LIKE 'test_%' OR datname = $1",
            &[&TEMPLATE],
        )
        .await
        .expect("query");
    for row in left {
        execute(postgres, &format!("DROP DATABASE {} WITH (FORCE)", row.get::<_, &str>(0))).await;
    }
    execute(postgres, &format!("CREATE DATABASE {TEMPLATE}")).await;
    migrations::up(&postgres.url_of(TEMPLATE).into()).await.expect("migrations");
}

/// Ends the connections of this database that listen: what comes before the next ones is not heard.
pub const END_LISTENERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                 WHERE datname = current_database() AND query LIKE 'LISTEN%'";

pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connection");
    tokio::spawn(connection);
    client
}

async fn execute(postgres: &Postgres, sql: &str) {
    connect(&postgres.url_of("postgres")).await.batch_execute(sql).await.expect(sql);
}

/// A database of one's own, with all migrations.
pub struct TestDb {
    name: String,
    pub url: String,
}

impl TestDb {
    pub async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (done, created) = oneshot::channel();
        let cluster = tokio::task::spawn_blocking(|| &*CLUSTER).await.expect("cluster");
        cluster.orders.send(Order::Create(name.clone(), done)).expect("the cluster lives");
        created.await.expect("created");
        Self { url: (cluster.url_of)(&name), name }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let _ = CLUSTER.orders.send(Order::Drop(self.name.clone()));
    }
}
