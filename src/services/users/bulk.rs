//! One action on many users, each by itself.

use uuid::Uuid;

use super::{
    super::{Core, Expected, Result, bulk::Rows},
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

/// Does it to each, in this order. None of the actions has an effect when it comes again.
///
/// # Errors
/// As [`Rows::add`] has it.
pub async fn run(
    core: &Core,
    origin: &Origin,
    action: Action,
    ids: &[Uuid],
    reason: &str,
) -> Result<Rows> {
    let mut rows = Rows::default();
    for &id in ids {
        rows.add(id, one(core, origin, action, id, reason).await)?;
    }
    Ok(rows)
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
