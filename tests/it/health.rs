//! Health, liveness, readiness, and the releases of the apps.

use diesel_async::SimpleAsyncConnection;
use serde_json::json;

use crate::support::{TestApp, redis::Redis};

#[tokio::test]
async fn a_healthy_service_says_so_part_by_part() {
    let app = TestApp::start().await;
    let mut data = json!(null);
    for _ in 0..100 {
        data = app.get("/api/v1/config/health").send().await.data();
        // The mail sender reports after its first look.
        if data["status"] == "healthy" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(data["status"], "healthy", "{data}");
    assert_eq!(data["version"], env!("CARGO_PKG_VERSION"));
    for (part, status) in [
        ("api", "up"),
        ("database", "up"),
        ("storage", "embedded"),
        ("mail", "embedded"),
        ("jobs", "up"),
    ] {
        assert_eq!(data["services"][part]["status"], status, "{part}");
        assert!(data["services"][part]["latency_ms"].is_u64(), "{part}");
    }
    assert!(data["services"].get("redis").is_none(), "there is none");
    assert_eq!(app.get("/health/live").send().await.data()["status"], "alive");
    assert_eq!(app.get("/health/ready").send().await.data()["status"], "ready");
}

#[tokio::test]
async fn a_connection_that_the_database_has_ended_is_no_dead_database() {
    let app = TestApp::start().await;
    app.core.db.ping().await.expect("it is up");
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    app.core.db.conn().await.expect("connected").batch_execute(end_all).await.expect("ended");
    app.core.db.ping().await.expect("it is still up");
}

#[tokio::test]
async fn a_redis_is_reported_where_there_is_one_and_not_needed() {
    let mut redis = Redis::start().await;
    let app = TestApp::builder().setting("REDIS_URL", &redis.url()).start().await;
    let health = async || app.get("/api/v1/config/health").send().await.data();
    assert_eq!(health().await["services"]["redis"]["status"], "up");
    redis.kill();
    let started = std::time::Instant::now();
    loop {
        let data = health().await;
        if data["services"]["redis"]["status"] == "down" {
            assert_eq!(data["status"], "degraded");
            break;
        }
        assert!(started.elapsed().as_secs() < 30, "{data}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    app.get("/health/ready").send().await.data();
}

#[tokio::test]
async fn a_process_that_stops_is_not_ready() {
    let app = TestApp::start().await;
    app.core.health.shut_down();
    let ready = app.get("/health/ready").send().await;
    ready.assert_error(503, "service_unavailable");
    assert_eq!(ready.header("retry-after"), "1");
    app.get("/health/live").send().await.data();
}

#[tokio::test]
async fn releases_come_from_the_settings() {
    let app = TestApp::builder()
        .setting("TWOFOLD_RELEASE__IOS__MINIMUM_VERSION", "2.1.0")
        .setting("TWOFOLD_RELEASE__IOS__FORCE_UPGRADE", "true")
        .start()
        .await;
    let data = app.get("/api/v1/config/release").send().await.data();
    let ios = data["platforms"].as_array().and_then(|p| p.iter().find(|p| p["platform"] == "ios"));
    let ios = ios.expect("ios");
    assert_eq!((&ios["minimum_version"], &ios["force_upgrade"]), (&json!("2.1.0"), &json!(true)));
    assert_eq!(data["server_version"], env!("CARGO_PKG_VERSION"));
}
