//! The one integration-test binary: a module for each subject. Each test starts the real
//! application on a database of its own, or the real program, and speaks HTTP to it.
//!
//! `cargo test` runs everything; `cargo test --test it client_` one subject.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod accepted;
mod architecture;
mod audit;
mod authorization;
mod backoffice_auth;
mod backoffice_jobs;
mod backoffice_jobs_page;
mod backoffice_mails;
mod backoffice_users;
mod bodies;
mod breaking;
mod bus;
mod cache;
mod change_email;
mod clean_up;
mod client_account;
mod client_auth;
mod commands;
mod compression;
mod conditional;
mod connections;
mod contract;
mod cors;
mod database_outage;
mod db;
mod deletion;
mod dev;
mod doctor;
mod documents;
mod exports;
mod fetch;
mod headers;
mod health;
mod hosts;
mod idempotency;
mod idempotency_atomic;
mod invitations;
mod jobs;
mod jobs_model;
mod jobs_processes;
mod jobs_worker;
mod keyset;
mod limiter;
mod limits;
mod listening;
mod lists;
mod log_collection;
mod logs;
mod mail;
mod mail_brevo;
mod mail_injection;
mod mail_outage;
mod mail_templates;
mod mail_tls;
mod methods;
mod metrics;
mod migrations;
mod notices;
mod objects;
mod overload;
mod pages;
mod passwords;
mod pool;
mod program;
mod queries;
mod reactions;
mod redis_kept;
mod roles;
mod second_factor;
mod session_check;
mod sessions;
mod shutdown;
mod staff;
mod staff_factor;
mod staff_pages;
mod staff_recovery;
mod storage;
mod support;
#[cfg(target_os = "linux")]
mod threads;
mod versions;
