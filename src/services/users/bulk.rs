//! One action on many users, each by itself: what one can't have keeps no other from having it.

use uuid::Uuid;

use super::{
    super::{Code, Core, Expected, Kind, Result, ServiceError},
    security, status,
};
use crate::db::Origin;

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Suspend,
    Reactivate,
    Delete,
    Restore,
    EndSessions,
}

/// What has become of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: Uuid,
    /// As the action on this user alone would have been answered.
    pub outcome: Result<(), Code>,
}

/// Does it to each, in this order. None of the actions has an effect when it comes again.
///
/// # Errors
/// What would keep all others from having it as well, such as a database that is down: those before it have it.
pub async fn run(
    core: &Core,
    origin: &Origin,
    action: Action,
    ids: &[Uuid],
    reason: &str,
) -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(ids.len());
    for &id in ids {
        let outcome = match one(core, origin, action, id, reason).await {
            Err(error) if is_fault(&error) => return Err(error),
            outcome => outcome.map_err(|error| error.code),
        };
        rows.push(Row { id, outcome });
    }
    Ok(rows)
}

fn is_fault(error: &ServiceError) -> bool {
    matches!(error.code.kind(), Kind::Internal | Kind::Unavailable)
}

async fn one(core: &Core, origin: &Origin, action: Action, id: Uuid, reason: &str) -> Result<()> {
    let expected = Expected::anything();
    match action {
        Action::Suspend => {
            status::suspend(core, origin, id, expected, reason, None).await.map(drop)
        }
        Action::Reactivate => {
            status::reactivate(core, origin, id, expected, reason).await.map(drop)
        }
        Action::Delete => status::delete(core, origin, id, expected, reason).await.map(drop),
        Action::Restore => status::restore(core, origin, id, expected, reason).await.map(drop),
        Action::EndSessions => security::end_sessions(core, origin, id).await,
    }
}
