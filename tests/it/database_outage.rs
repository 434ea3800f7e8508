//! The database dies or hangs under the running application, and comes back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use poem::{EndpointExt, Route, handler, web::Data};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::sync::Notify;
use twofold::{
    api::error::ApiError,
    db::{Origin, migrations},
    embedded::postgres::Postgres,
    services::{Core, ServiceError},
};

use crate::support::{
    TestApp,
    app::PASSWORD,
    cluster,
    frozen::Frozen,
    http::{Answer, Request},
    pg_proxy::PgProxy,
    rounds,
};

/// How soon a caller is told (security condition 27), and how soon everything is well again.
const TOLD: Duration = Duration::from_secs(2);
const WELL: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_is_503_and_its_return_needs_no_restart() {
    let folder = cluster::folder("outage");
    let mut postgres = cluster::start(&folder, &["fsync=off"]).await;
    migrations::up(&postgres.url().into()).await.expect("migrations");
    let app = TestApp::builder().database_url(&postgres.url()).start().await;
    for _ in 0..rounds(2, 20) {
        login(&app).send().await.assert_error(401, "invalid_credentials");
        // Killed, and not started again by its supervisor.
        let pid = i32::try_from(postgres.pid().expect("it runs")).expect("a process id");
        kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("it runs");
        postgres.stop();
        // A server process may answer once more before it notices that its parent is gone.
        let killed = Instant::now();
        while login(&app).send().await.status != 503 {
            assert!(killed.elapsed() < TOLD, "it still answers");
        }
        assert_is_down(&app).await;
        postgres = cluster::start(&folder, &["fsync=off"]).await;
        assert_recovers(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_503_and_well_again_when_it_goes_on() {
    let postgres = cluster::start(&cluster::folder("hung"), &["fsync=off"]).await;
    hangs_and_recovers(&postgres, &postgres.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_over_tcp() {
    let postgres = cluster::start(&cluster::folder("hung-tcp"), &["fsync=off"]).await;
    let proxy = PgProxy::to(&postgres.url()).await;
    hangs_and_recovers(&postgres, &proxy.url).await;
}

/// What a transaction of a test waits for before its commit.
#[derive(Clone, Default)]
struct Gate(Arc<Notify>);

#[handler]
async fn sleep(core: Data<&Arc<Core>>) -> poem::Result<()> {
    let sleep = async {
        core.db.conn().await?.batch_execute("SELECT pg_sleep(4)").await?;
        Ok::<_, ServiceError>(())
    };
    Ok(sleep.await.map_err(ApiError::from)?)
}

#[handler]
async fn commit(core: Data<&Arc<Core>>, gate: Data<&Gate>) -> poem::Result<()> {
    let commit = async {
        let tx = core.db.begin(&Origin::system("test")).await?;
        gate.0.0.notified().await;
        Ok::<_, ServiceError>(tx.commit().await?)
    };
    Ok(commit.await.map_err(ApiError::from)?)
}

async fn hangs_and_recovers(postgres: &Postgres, url: &str) {
    migrations::up(&postgres.url().into()).await.expect("migrations");
    let gate = Gate::default();
    let routes = Route::new()
        .at("/sleep", poem::get(sleep))
        .at("/commit", poem::get(commit.data(gate.clone())));
    let app = TestApp::builder()
        .database_url(url)
        .routes(routes)
        // It is not the wait for the pool that ends theirs.
        .setting("TWOFOLD_DATABASE__POOL_WAIT_MS", "4000")
        .start()
        .await;
    let watcher = cluster::connect(&postgres.url()).await;
    let under_way = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'twofold' \
                   AND (state = 'idle in transaction' OR wait_event = 'PgSleep')";
        watcher.query_one(sql, &[]).await.expect("asked").get::<_, i64>(0)
    };
    for _ in 0..rounds(2, 20) {
        login(&app).send().await.assert_error(401, "invalid_credentials");
        let waiting = (0..5).map(|_| app.get("/sleep")).chain([app.get("/commit")]);
        let waiting: Vec<_> = waiting
            .map(|request| tokio::spawn(async { (request.send().await, Instant::now()) }))
            .collect();
        let dropped = app.core.db.begin(&Origin::system("test")).await.expect("begun");
        while under_way().await < 7 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        let frozen = Frozen::freeze(postgres).await;
        let started = Instant::now();
        gate.0.notify_one();
        drop(dropped);
        assert_is_down(&app).await;
        for waited in join_all(waiting).await {
            let (answer, at) = waited.expect("answered");
            assert_unavailable(&answer);
            assert!(at - started < TOLD, "{:?}", at - started);
        }

        drop(frozen);
        assert_recovers(&app).await;
        // Every connection of the pool can be had: none is stuck with what was given up.
        let all = join_all((0..30).map(|_| app.core.db.conn())).await;
        assert_eq!(all.iter().filter(|conn| conn.is_ok()).count(), 30);
    }
}

fn login(app: &TestApp) -> Request {
    let credentials = json!({"email": "nobody@example.com", "password": PASSWORD});
    app.post("/api/v1/auth/login", credentials)
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.assert_error(503, "service_unavailable")["code"], 503);
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.text.contains("PGSQL") && !answer.text.contains('/'), "{}", answer.text);
}

/// Callers are told in time, and orchestrators too; the process is alive.
async fn assert_is_down(app: &TestApp) {
    // More at once than the pool has connections, again and again.
    for _ in 0..3 {
        let started = Instant::now();
        let all = join_all((0..50).map(|_| login(app).send())).await;
        assert!(started.elapsed() < TOLD, "{:?}", started.elapsed());
        all.iter().for_each(assert_unavailable);
    }
    app.get("/health/live").send().await.data();
    // What the shared probe has found is told for a second.
    let started = Instant::now();
    while app.get("/health/ready").send().await.status == 200 {
        assert!(started.elapsed() < TOLD, "it is ready");
    }
    app.get("/health/ready").send().await.assert_error(503, "service_unavailable");
    let started = Instant::now();
    let health = app.get("/api/v1/config/health").send().await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!((health.status, &health.json()["code"]), (503, &json!(503)));
    assert_eq!(health.header("retry-after"), "1");
    assert_eq!(health.json()["error"], "service_unavailable");
    assert_eq!(health.json()["request_id"], health.header("x-request-id"));
    let data = &health.json()["data"];
    assert_eq!(
        (&data["status"], &data["services"]["database"]["status"]),
        (&json!("unhealthy"), &json!("down"))
    );
}

async fn assert_recovers(app: &TestApp) {
    let returned = Instant::now();
    while login(app).send().await.status != 401 {
        assert!(returned.elapsed() < WELL, "no recovery");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while app.get("/health/ready").send().await.status != 200 {
        assert!(returned.elapsed() < WELL, "not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
