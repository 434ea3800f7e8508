//! Twofold: one process, two APIs.
//!
//! ```text
//! main ── cli ── bootstrap        what runs, and the one place where it is put together
//!                   │
//!         ┌─────────┴─────────┐
//!        api                 jobs   two ways in: HTTP requests, background work
//!         └─────────┬─────────┘
//!                services           rules, authorization, transactions; no HTTP types
//!         ┌─────────┴─────────┐
//!        db                adapters PostgreSQL (diesel)  |  mail, storage, caches, clock, randomness
//! ```
//!
//! Arrows run down only (`tests/it/architecture.rs` keeps it so). `config` is read by
//! `bootstrap` and `cli` alone. To add a resource, follow `docs/adding-a-resource.md`.

pub mod adapters;
pub mod api;
pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod db;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod jobs;
pub mod server;
pub mod services;
pub mod telemetry;
