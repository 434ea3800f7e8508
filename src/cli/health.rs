//! `health`: asks the instance that runs with these settings, as a container's health check does.

use std::io;

use serde_json::json;

use super::output::{Outcome, Output};
use crate::{config::Settings, server};

pub(super) async fn run(settings: &Settings, output: Output) -> Outcome {
    let ready = match ask(settings, "/health/ready").await {
        Ok(200) => return output.show(&json!({"ready": true}), "ready"),
        Ok(status) => format!("it answers {status}"),
        Err(error) => format!("no answer: {error}"),
    };
    Err(format!("not ready at {}: {ready}", settings.server.listen).into())
}

/// The status that a running instance answers.
pub(super) async fn ask(settings: &Settings, path: &str) -> io::Result<u16> {
    let server = &settings.server;
    server::ask(&server.listen, server.tls_certificate_file.is_some(), path).await
}
