//! A private database server.

use std::path::Path;

use twofold::embedded::postgres::{Options, Postgres};

/// Starts one with its data in a folder there; stopped by `stop`, or when dropped.
pub async fn start(folder: &Path, settings: &[&str]) -> Postgres {
    let options = Options {
        own_binary: env!("CARGO_BIN_EXE_twofold").into(),
        settings: settings.iter().map(|one| (*one).to_owned()).collect(),
        bin: std::env::var_os("PG_BIN").map(Into::into),
        fetch: true,
    };
    let started = Postgres::start(&folder.join("postgres"), &options).await;
    started.expect("PostgreSQL")
}
