//! One action on many things, each by itself: what one can't have keeps no other from having it.

use uuid::Uuid;

use super::{Code, Kind, Result};

/// What has become of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: Uuid,
    /// As the action on this one alone would have been answered.
    pub outcome: Result<(), Code>,
}

/// What has become of each, in the order in which it was tried.
#[derive(Debug, Default)]
pub struct Rows(pub Vec<Row>);

impl Rows {
    /// Notes what has become of one.
    ///
    /// # Errors
    /// What would keep all others from having it as well, such as a database that is down: those before it have it.
    pub fn add<T>(&mut self, id: Uuid, outcome: Result<T>) -> Result<()> {
        let outcome = match outcome {
            Err(error) if matches!(error.code.kind(), Kind::Internal | Kind::Unavailable) => {
                return Err(error);
            }
            outcome => outcome.map(drop).map_err(|error| error.code),
        };
        self.0.push(Row { id, outcome });
        Ok(())
    }
}
