//! Why the embedded PostgreSQL can't run.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{advice::NoBinaries, fetch::Attempts, lock::Holder};

/// Why the embedded PostgreSQL can't run. Each message tells what to do.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(transparent)]
    NoBinaries(#[from] NoBinaries),
    #[error(
        "{holder}; stop it first, or set TWOFOLD_DATA_DIR to another folder than {folder}",
        folder = folder.parent().unwrap_or(folder).display()
    )]
    InUse { folder: PathBuf, holder: Holder },
    #[error(
        "{data} was made by PostgreSQL {made}, but this machine has {found}; install PostgreSQL {made}, \
         or set TWOFOLD_DATA_DIR to another folder (the data are untouched){attempts}"
    )]
    WrongVersion { data: PathBuf, made: String, found: String, attempts: Attempts },
    #[error(
        "no space left on the disk of {0}; free some, or set TWOFOLD_DATA_DIR to a folder on another disk"
    )]
    NoSpace(PathBuf),
    #[error("the database cluster can't be made: {0}")]
    Init(String),
    #[error("PostgreSQL did not start; the end of {log}:\n{tail}")]
    Start { log: PathBuf, tail: String },
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// What the system and PostgreSQL say when a disk is full.
const FULL: &str = "No space left on device";

impl PostgresError {
    /// Whether another instance is in the way.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }

    /// For `map_err`: what can't be done, and to what.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => Self::NoSpace(path),
            _ => Self::Io { what, path, source },
        }
    }

    /// The cluster in `data` can't be made, for a reason that a program gave.
    pub(super) fn init(data: &Path, reason: &str) -> Self {
        if reason.contains(FULL) {
            Self::NoSpace(data.to_owned())
        } else {
            Self::Init(reason.trim().to_owned())
        }
    }
}
