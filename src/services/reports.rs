//! What users hold against posts, until staff have decided about it.

use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Action, Entry, Subject},
    cursors::{ListRequest, Listed},
    posts,
};
use crate::db::{
    Origin,
    post_reports::{
        self, Decision, NewReport, PostReport, ReportFilter, ReportReason, ReportSort, ReportState,
        Which,
    },
};

/// Reports a post that the reporter can see.
///
/// # Errors
/// [`Code::NotFound`] for the post, or [`Code::PostAlreadyReported`].
pub async fn create(
    core: &Core,
    origin: &Origin,
    reporter_id: Uuid,
    post_id: Uuid,
    reason: ReportReason,
    comment: Option<&str>,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    posts::require_visible(&mut tx, reporter_id, post_id).await?;
    let new = NewReport {
        id: core.random.id(now),
        post_id,
        reporter_id,
        reason,
        comment,
        state: ReportState::Open,
        created_at: now,
        updated_at: now,
    };
    if !post_reports::insert(&mut tx, new).await? {
        return Err(Code::PostAlreadyReported.into());
    }
    Ok(tx.commit().await?)
}

/// One page of the reports that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: ReportFilter,
    request: ListRequest<ReportSort>,
) -> Result<Listed<PostReport>> {
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(post_reports::count(&mut conn, filter)).await?;
    let rows = post_reports::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// One report.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<PostReport> {
    let mut conn = core.db.conn().await?;
    Ok(post_reports::find(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// Notes that something was done about what a report says.
///
/// # Errors
/// [`Code::NotFound`] or [`Code::ReportDecided`].
pub async fn resolve(core: &Core, origin: &Origin, id: Uuid, reason: &str) -> Result<PostReport> {
    decide(core, origin, id, ReportState::Resolved, Action::ReportResolved, reason).await
}

/// Notes that a report is no reason to do anything.
///
/// # Errors
/// [`Code::NotFound`] or [`Code::ReportDecided`].
pub async fn dismiss(core: &Core, origin: &Origin, id: Uuid, reason: &str) -> Result<PostReport> {
    decide(core, origin, id, ReportState::Dismissed, Action::ReportDismissed, reason).await
}

async fn decide(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    state: ReportState,
    action: Action,
    reason: &str,
) -> Result<PostReport> {
    let mut tx = core.db.begin(origin).await?;
    let decision = Decision { state, by: origin.actor.admin_id(), now: tx.now };
    let decided = post_reports::decide(&mut tx, Which::Report(id), decision).await?;
    let report = post_reports::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
    if decided == 0 {
        return Err(Code::ReportDecided.into());
    }
    let entry = Entry::new(action, Subject::Report(id)).because(reason);
    audit::record(core, &mut tx, entry.made(&report)).await?;
    tx.commit().await?;
    Ok(report)
}
