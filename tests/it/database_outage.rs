//! The database dies under the running application and comes back.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use twofold::db::migrations;

use crate::support::{TestApp, app::PASSWORD, cluster};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_is_503_and_its_return_needs_no_restart() {
    let folder = cluster::folder("outage");
    let mut postgres = cluster::start(&folder, &["fsync=off"]).await;
    migrations::up(&postgres.url().into()).await.expect("migrations");
    let app = TestApp::builder().database_url(&postgres.url()).start().await;
    let credentials = json!({"email": "nobody@example.com", "password": PASSWORD});
    let login = || app.post("/api/v1/auth/login", credentials.clone()).send();
    login().await.assert_error(401, "invalid_credentials");

    // Killed, and not started again by its supervisor.
    let pid = i32::try_from(postgres.pid().expect("it runs")).expect("a process id");
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("it runs");
    postgres.stop();
    // A server process may answer once more before it notices that its parent is gone.
    let killed = Instant::now();
    while login().await.status != 503 {
        assert!(killed.elapsed() < Duration::from_secs(5), "it still answers");
    }
    // More at once than the pool has connections, again and again.
    for _ in 0..3 {
        let started = Instant::now();
        let all = futures_util::future::join_all((0..50).map(|_| login())).await;
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        for answer in all {
            assert_eq!(answer.assert_error(503, "service_unavailable")["code"], 503);
            assert!(!answer.header("retry-after").is_empty());
            assert!(
                !answer.text.contains("PGSQL") && !answer.text.contains('/'),
                "{}",
                answer.text
            );
        }
    }
    app.get("/health/live").send().await.data();
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

    let _postgres = cluster::start(&folder, &["fsync=off"]).await;
    let returned = Instant::now();
    while login().await.status != 401 {
        assert!(returned.elapsed() < Duration::from_secs(5), "no recovery");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while app.get("/health/ready").send().await.status != 200 {
        assert!(returned.elapsed() < Duration::from_secs(5), "not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
