//! Where a fault came from, for the log of a developer.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

static SHOWN: AtomicBool = AtomicBool::new(false);

/// Whether backtraces are taken from now on. Each costs milliseconds.
pub fn show_backtraces(shown: bool) {
    SHOWN.store(shown, Ordering::Relaxed);
}

/// The product's own frames of a stack, or nothing where backtraces are off.
#[derive(Debug, Default)]
pub struct Backtrace(Option<Box<std::backtrace::Backtrace>>);

impl Backtrace {
    /// The stack of the caller.
    #[must_use]
    pub fn here() -> Self {
        let shown = SHOWN.load(Ordering::Relaxed);
        Self(shown.then(|| Box::new(std::backtrace::Backtrace::force_capture())))
    }
}

impl fmt::Display for Backtrace {
    /// Each frame on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(backtrace) = &self.0 else { return Ok(()) };
        for line in backtrace.to_string().lines() {
            // Of some hundred frames, these are the ones to look at.
            let own = line.trim_start().strip_prefix("at ").and_then(own_place);
            if let Some(place) = own {
                write!(f, "\n    at {place}")?;
            }
        }
        Ok(())
    }
}

/// The place below `src/`, if it is one of ours and not of the way to the log.
fn own_place(place: &str) -> Option<&str> {
    let root = place.strip_prefix(env!("CARGO_MANIFEST_DIR")).or(place.strip_prefix('.'))?;
    let own = root.strip_prefix('/')?;
    let on_the_way = ["src/telemetry/", "src/services/error.rs"];
    (own.starts_with("src/") && !on_the_way.iter().any(|way| own.starts_with(way))).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_places_are_shown() {
        let own = format!("{}/src/db/users.rs:1:2", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(own_place(&own), Some("src/db/users.rs:1:2"));
        assert_eq!(own_place("./src/api/auth.rs:3:4"), Some("src/api/auth.rs:3:4"));
        for other in
            ["./src/services/error.rs:1:1", "./src/telemetry/mod.rs:1:1", "/rustc/x.rs:1:1"]
        {
            assert_eq!(own_place(other), None, "{other}");
        }
        assert_eq!(Backtrace::default().to_string(), "");
    }
}
