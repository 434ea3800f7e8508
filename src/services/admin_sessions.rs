//! Sessions of staff: which there are, and how their owner ends one.

use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Action, Entry, Subject},
    cursors::{ListRequest, Listed},
};
use crate::db::{
    Origin,
    admin_sessions::{self, AdminSession, AdminSessionFilter, AdminSessionSort},
};

/// One page of the sessions that have not ended: one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    admin_id: Uuid,
    request: ListRequest<AdminSessionSort>,
) -> Result<Listed<AdminSession>> {
    let filter = AdminSessionFilter { account_id: admin_id };
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let now = core.clock.now();
    let rows = admin_sessions::list(&mut conn, filter, now, &reading.window).await?;
    reading.finish(rows, None)
}

/// Ends one.
///
/// # Errors
/// [`Code::NotFound`] for one that has ended, or is somebody else's.
pub async fn end(core: &Core, origin: &Origin, admin_id: Uuid, session_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    if !admin_sessions::is_open(&mut tx, admin_id, session_id, now).await? {
        return Err(Code::NotFound.into());
    }
    core.staff_sessions.revoke(core, &mut tx, session_id).await?;
    let entry = Entry::new(Action::AdminSessionEnded, Subject::Admin(admin_id));
    audit::record(core, &mut tx, entry).await?;
    Ok(tx.commit().await?)
}
