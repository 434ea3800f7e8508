//! A user's own sessions: which there are, and how they are ended.

use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Entry, Subject},
    cursors::{ListRequest, Listed},
};
use crate::db::{
    Origin,
    user_sessions::{self, UserSession, UserSessionFilter, UserSessionSort},
};

/// One page of the sessions that have not ended: one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    user_id: Uuid,
    request: ListRequest<UserSessionSort>,
) -> Result<Listed<UserSession>> {
    let filter = UserSessionFilter { account_id: user_id };
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let now = core.clock.now();
    let rows = user_sessions::list(&mut conn, filter, now, &reading.window).await?;
    reading.finish(rows, None)
}

/// Ends one.
///
/// # Errors
/// [`Code::NotFound`] for one that has ended, or is another user's.
pub async fn end(core: &Core, origin: &Origin, user_id: Uuid, session_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    if !user_sessions::is_open(&mut tx, user_id, session_id, now).await? {
        return Err(Code::NotFound.into());
    }
    core.client_sessions.revoke(core, &mut tx, session_id).await?;
    let entry = Entry::new(audit::Action::UserSessionEnded, Subject::User(user_id));
    audit::record(core, &mut tx, entry).await?;
    Ok(tx.commit().await?)
}

/// Which sessions a logout ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The one that asks.
    Local,
    /// All but that.
    Others,
    Global,
}

/// Signs out.
///
/// # Errors
/// [`Code::ImpersonationForbidden`] for who acts as the user, but for their own session.
pub async fn log_out(
    core: &Core,
    origin: &Origin,
    user_id: Uuid,
    session_id: Uuid,
    scope: Scope,
) -> Result<()> {
    if origin.impersonator_id.is_some() && scope != Scope::Local {
        return Err(Code::ImpersonationForbidden.into());
    }
    let except = match scope {
        Scope::Local => return core.client_sessions.end(core, origin, session_id).await,
        Scope::Others => Some(session_id),
        Scope::Global => None,
    };
    let mut tx = core.db.begin(origin).await?;
    core.client_sessions.end_all(core, &mut tx, user_id, except).await?;
    Ok(tx.commit().await?)
}
