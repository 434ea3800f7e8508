//! What clients may take.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors for everything but connections: database, storage, mail, files.
const RESERVED_FILES: u64 = 256;

/// What clients may take, each and together.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections there may be; more wait until one has ended.
    pub connections: usize,
    /// How long the TLS handshake may take, then the head of a request, and how long to wait for
    /// a body that comes too slowly.
    pub read: Duration,
    /// How long a client may take nothing of its answer.
    pub write: Duration,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long requests in flight may take once the server is told to stop.
    pub drain: Duration,
}

/// As many connections as are wanted, or as the process may have open files for, once it has
/// raised that limit as far as it can.
#[must_use]
pub fn affordable_connections(wanted: usize) -> usize {
    let mut files = getrlimit(Resource::Nofile);
    if files.current != files.maximum {
        let raised = rustix::process::Rlimit { current: files.maximum, ..files };
        // Some systems name a maximum that they don't grant: then it stays as it was.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            files = raised;
        }
    }
    let Some(files) = files.current else { return wanted };
    let affordable = within(wanted, files);
    if affordable < wanted {
        tracing::warn!(
            "{affordable} connections at a time instead of {wanted}: the process may only have \
             {files} open files; raise that limit (ulimit -n), or lower server.max_connections"
        );
    }
    affordable
}

/// Of few files, half are for connections.
fn within(wanted: usize, files: u64) -> usize {
    let affordable = files - RESERVED_FILES.min(files / 2);
    wanted.min(usize::try_from(affordable).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_bound_the_connections() {
        for (wanted, files, expected) in [
            (10_000, 1 << 20, 10_000),
            (10_000, 1024, 768),
            (10_000, 100, 50),
            (5, 100, 5),
            (5, 0, 1),
        ] {
            assert_eq!(within(wanted, files), expected, "{wanted} of {files}");
        }
    }
}
