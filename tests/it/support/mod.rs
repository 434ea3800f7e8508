//! What all tests stand on: a PostgreSQL of their own, the application, and a small client.

pub mod app;
pub mod cluster;
pub mod connection;
pub mod http;
pub mod program;
pub mod smtp;

pub use app::TestApp;
pub use cluster::TestDb;
