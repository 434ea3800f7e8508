//! Results on standard output, for people or for programs; failures on standard error, with an
//! exit code.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::json;

use crate::{
    adapters::mailer::MailError, bootstrap::StartError, config::ConfigError,
    db::migrations::MigrationError, telemetry::Chain,
};

pub(super) type Failure = Box<dyn Error + Send + Sync>;
pub(super) type Outcome = Result<(), Failure>;

/// What went wrong is in the message; usage errors are 2 (clap).
const FAILED: u8 = 1;
/// Something that the program needs can't be reached (`EX_UNAVAILABLE` of sysexits.h).
const UNAVAILABLE: u8 = 69;
/// Another instance is in the way (`EX_TEMPFAIL`).
const IN_USE: u8 = 75;
/// The settings have faults (`EX_CONFIG`).
const CONFIG: u8 = 78;

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub json: bool,
}

impl Output {
    /// Prints a result. A reader who has closed the pipe wants no more of it.
    pub fn show(self, value: &impl Serialize, text: impl Display) -> Outcome {
        let mut out = io::stdout().lock();
        let written = if self.json {
            writeln!(out, "{}", serde_json::to_string(value)?)
        } else {
            writeln!(out, "{text}")
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Prints a failure, and says how the process ends.
    pub fn fail(self, failure: &(dyn Error + 'static)) -> ExitCode {
        let (code, message) = (exit_code(failure), Chain(failure).to_string());
        if self.json {
            let mut body = json!({"error": message, "exit_code": code});
            if let Some(error) = failure.downcast_ref::<ConfigError>() {
                body["faults"] = json!(error.faults);
            }
            let _ = writeln!(io::stderr(), "{body}");
        } else {
            let _ = writeln!(io::stderr(), "error: {message}");
        }
        ExitCode::from(code)
    }
}

fn exit_code(failure: &(dyn Error + 'static)) -> u8 {
    if failure.is::<ConfigError>() {
        return CONFIG;
    }
    match failure.downcast_ref::<StartError>() {
        Some(error) if error.is_in_use() => return IN_USE,
        Some(error) if error.is_of_database() => return UNAVAILABLE,
        _ => {}
    }
    if let Some(MailError::Unavailable { .. }) = failure.downcast_ref() {
        return UNAVAILABLE;
    }
    match failure.downcast_ref::<MigrationError>() {
        Some(MigrationError::Connect(_)) => UNAVAILABLE,
        _ => FAILED,
    }
}

/// A longer cell stands out of its column.
const MAX_WIDTH: usize = 60;

/// Rows as aligned columns; the last one is not padded.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .map(|width| width.min(MAX_WIDTH))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
