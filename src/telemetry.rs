//! Logs. Every line of a request stands in its span and so carries the request id.

use std::{error::Error, fmt, io::IsTerminal};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Writes logs to standard error, coloured on a terminal; panics become log lines too.
///
/// `filter` has the syntax of `EnvFilter`; what can't be read in it is left out.
pub fn init(filter: &str) {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call, as in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(EnvFilter::new(filter)).with(layer).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(location, "panic: {message}");
    }));
}

/// An error with all its causes on one line, for the log: `what: why: because`.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        write!(f, "{text}")?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let next = error.to_string();
            // Some libraries repeat their cause in their own text.
            if !text.ends_with(&next) {
                write!(f, ": {next}")?;
            }
            text = next;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("middle: inner")]
    struct Middle(#[source] std::io::Error);

    #[test]
    fn a_chain_names_each_cause_once() {
        let error = Outer(Middle(std::io::Error::other("inner")));
        assert_eq!(Chain(&error).to_string(), "outer: middle: inner");
    }
}
