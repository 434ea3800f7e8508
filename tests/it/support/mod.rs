//! What all tests stand on: a PostgreSQL of their own, the application, and a small client.

pub mod app;
pub mod brevo;
pub mod cluster;
pub mod connection;
pub mod contract;
pub mod explain;
pub mod frozen;
pub mod http;
pub mod pg_proxy;
pub mod program;
pub mod redis;
mod redis_server;
pub mod s3;
pub mod s3_proxy;
pub mod smtp;
pub mod smtp_process;
pub mod statements;

pub use app::TestApp;
pub use cluster::TestDb;

/// How often a race is run: few times, or many in the long run (`TWOFOLD_LONG_RUN=1`).
pub fn rounds(few: usize, many: usize) -> usize {
    if std::env::var("TWOFOLD_LONG_RUN").is_ok_and(|value| value == "1") { many } else { few }
}

/// Waits until a condition comes true, for ten seconds at most.
#[track_caller]
pub fn wait<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..1000 {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it did not come true, awaited at {caller}");
    }
}
