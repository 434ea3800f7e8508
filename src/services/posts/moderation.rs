//! Posts as staff see them, and what staff do to them. Authors are told of it.

use uuid::Uuid;

use super::{
    super::{
        Code, Core, Expected, Result,
        audit::{self, Action, Entry, Subject},
        cursors::{ListRequest, Listed},
        notices::{Notice, Notify},
    },
    kept, reactions,
};
use crate::db::{
    Origin, Tx,
    post_comments::{self, CommentFilter, CommentSort, PostComment},
    post_reports::{self, Decision, ReportState, Which},
    posts::{self, ListedPost, Post, PostChanges, PostFilter, PostKey, PostSort},
};

/// One page of the posts that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &PostFilter,
    request: ListRequest<PostSort>,
) -> Result<Listed<ListedPost>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(posts::count(&mut conn, filter)).await?;
    let rows = posts::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// One post, in whatever state.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<Post> {
    let mut conn = core.db.conn().await?;
    Ok(posts::find(&mut conn, &PostKey::Id(id)).await?.ok_or(Code::NotFound)?)
}

/// Hides a post from all but its author, whatever the author does with it. Its open reports are resolved by that.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::PostInOtherState`].
pub async fn hide(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<Post>,
    reason: &str,
) -> Result<Post> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let present = lock(&mut tx, id, expected).await?;
    if present.hidden_at.is_some() {
        return Err(Code::PostInOtherState.into());
    }
    let changes = PostChanges {
        hidden_at: Some(Some(now)),
        hidden_reason: Some(Some(reason.to_owned())),
        ..PostChanges::default()
    };
    let post = kept::change(core, &mut tx, &present, changes).await?;
    let decision = Decision { state: ReportState::Resolved, by: origin.actor.admin_id(), now };
    post_reports::decide(&mut tx, Which::OfPost(id), decision).await?;
    let entry = Entry::new(Action::PostHidden, Subject::Post(id)).because(reason);
    audit::record(core, &mut tx, entry.changed(&present, &post)).await?;
    let (title, reason) = (post.title.clone(), reason.to_owned());
    tell(core, &mut tx, &post, Notice::PostHidden { post_id: id, title, reason }).await?;
    tx.commit().await?;
    Ok(post)
}

/// Shows a hidden post again, as far as its author wants it shown.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`] or [`Code::PostInOtherState`].
pub async fn restore(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<Post>,
    reason: &str,
) -> Result<Post> {
    let mut tx = core.db.begin(origin).await?;
    let present = lock(&mut tx, id, expected).await?;
    if present.hidden_at.is_none() {
        return Err(Code::PostInOtherState.into());
    }
    let changes =
        PostChanges { hidden_at: Some(None), hidden_reason: Some(None), ..PostChanges::default() };
    let post = kept::change(core, &mut tx, &present, changes).await?;
    let entry = Entry::new(Action::PostRestored, Subject::Post(id)).because(reason);
    audit::record(core, &mut tx, entry.changed(&present, &post)).await?;
    let title = post.title.clone();
    tell(core, &mut tx, &post, Notice::PostRestored { post_id: id, title }).await?;
    tx.commit().await?;
    Ok(post)
}

/// Deletes a post for good, with all that hangs on it.
///
/// # Errors
/// [`Code::NotFound`] or [`Code::PreconditionFailed`].
pub async fn erase(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    expected: Expected<Post>,
    reason: &str,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let post = lock(&mut tx, id, expected).await?;
    posts::erase(&mut tx, id).await?;
    kept::tell_of_gone(core, &mut tx, id).await?;
    let entry = Entry::new(Action::PostErased, Subject::Post(id)).because(reason);
    audit::record(core, &mut tx, entry.removed(&post)).await?;
    let (title, reason) = (post.title.clone(), reason.to_owned());
    tell(core, &mut tx, &post, Notice::PostErased { title, reason }).await?;
    Ok(tx.commit().await?)
}

/// One page of the comments on a post, in whatever state it is: two statements.
///
/// # Errors
/// [`Code::NotFound`] for the post, or [`Code::ValidationFailed`] for a cursor of another list.
pub async fn comments(
    core: &Core,
    post_id: Uuid,
    request: ListRequest<CommentSort>,
) -> Result<Listed<PostComment>> {
    let filter = CommentFilter { post_id: get(core, post_id).await?.id };
    reactions::listed(core, filter, request).await
}

/// Deletes a comment.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete_comment(core: &Core, origin: &Origin, id: Uuid, reason: &str) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let found = post_comments::delete(&mut tx, id).await?;
    let (post_id, comment) = found.ok_or(Code::NotFound)?;
    let entry = Entry::new(Action::PostCommentDeleted, Subject::Post(post_id)).because(reason);
    audit::record(core, &mut tx, entry.removed(&comment)).await?;
    Ok(tx.commit().await?)
}

async fn lock(tx: &mut Tx, id: Uuid, expected: Expected<Post>) -> Result<Post> {
    let present = posts::lock(tx, id).await?.ok_or(Code::NotFound)?;
    expected.check(&present)?;
    Ok(present)
}

async fn tell(core: &Core, tx: &mut Tx, post: &Post, notice: Notice) -> Result<()> {
    core.jobs.enqueue(core, tx, &Notify { user_id: post.author_id, notice }).await.map(drop)
}
