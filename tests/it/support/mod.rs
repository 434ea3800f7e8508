//! What all tests stand on: a PostgreSQL of their own, the application, and a small client.

pub mod app;
pub mod brevo;
pub mod cluster;
pub mod connection;
pub mod contract;
pub mod frozen;
pub mod http;
pub mod program;
pub mod smtp;
pub mod smtp_process;

pub use app::TestApp;
pub use cluster::TestDb;

/// How often a race is run: few times, or many in the long run (`TWOFOLD_LONG_RUN=1`).
pub fn rounds(few: usize, many: usize) -> usize {
    if std::env::var("TWOFOLD_LONG_RUN").is_ok_and(|value| value == "1") { many } else { few }
}
