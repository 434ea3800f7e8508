//! An error as a log line.

use std::{error::Error, fmt};

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
