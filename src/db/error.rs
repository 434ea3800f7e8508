//! What can go wrong with the database, and what of it passes by itself.

use diesel::result::{DatabaseErrorKind as Kind, Error};

/// The database did what it should not, or nothing.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection to be had, or it was lost: worth trying again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The statement failed.
    #[error("a statement failed")]
    Query(#[source] Error),
}

/// What PostgreSQL says when it goes down or gives a statement up. diesel hides the SQLSTATE
/// (57014, 57P01 to 57P03), so the English text has to do: with another `lc_messages` these rare
/// answers are 500 instead of 503.
const GIVES_UP: [&str; 7] = [
    "terminating connection",
    "canceling statement due to",
    "the database system is",
    "deadlock detected",
    // PgBouncer's.
    "server login has been failing",
    "query_wait_timeout",
    "server conn crashed",
];

/// Stands at the end, after the name of a file.
const FULL_DISK: &str = "No space left on device";

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        let lost = match &error {
            Error::DatabaseError(
                Kind::UnableToSendCommand
                | Kind::ClosedConnection
                | Kind::SerializationFailure
                // A standby, after a failover.
                | Kind::ReadOnlyTransaction,
                _,
            )
            | Error::BrokenTransactionManager => true,
            Error::DatabaseError(Kind::Unknown, info) => {
                let message = info.message();
                message.contains(FULL_DISK) || GIVES_UP.iter().any(|text| message.starts_with(text))
            }
            _ => false,
        };
        if lost { Self::Unavailable(error.to_string()) } else { Self::Query(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        let is_unavailable = |message: &str| {
            let error = Error::DatabaseError(Kind::Unknown, Box::new(message.to_owned()));
            matches!(DbError::from(error), DbError::Unavailable(_))
        };
        let full = "could not extend file \"base/5/16403\": No space left on device";
        assert!(is_unavailable(full));
        assert!(is_unavailable("canceling statement due to statement timeout"));
        assert!(!is_unavailable("relation \"x\" does not exist"));
    }
}
