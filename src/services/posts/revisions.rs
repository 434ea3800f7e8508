//! What posts were before their authors changed them: title, text and tags. Files are as they are.

use uuid::Uuid;

use super::{
    super::{
        Code, Core, Expected, Result,
        cursors::{ListRequest, Listed},
    },
    Edit, get, update,
};
use crate::db::{
    Origin, Tx,
    post_revisions::{self, PostRevision, RevisionFilter, RevisionSort},
    posts::{Post, PostKey},
};

/// How many of each post are kept.
const KEPT: i64 = 100;

/// Keeps what a post is, if it is about to become something else.
pub(super) async fn keep(core: &Core, tx: &mut Tx, present: &Post, edit: &Edit) -> Result<()> {
    let is_same = edit.title.as_ref().is_none_or(|title| *title == present.title)
        && edit.body.as_ref().is_none_or(|body| *body == present.body)
        && edit.tags.as_ref().is_none_or(|tags| *tags == present.tags);
    if !is_same {
        let (id, now) = (core.random.id(tx.now), tx.now);
        post_revisions::keep(tx, id, present, KEPT, now).await?;
    }
    Ok(())
}

/// One page of what an author's post was: two statements.
///
/// # Errors
/// [`Code::NotFound`] for the post, or [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    author_id: Uuid,
    post_id: Uuid,
    request: ListRequest<RevisionSort>,
) -> Result<Listed<PostRevision>> {
    require_own(core, author_id, post_id).await?;
    let filter = RevisionFilter { post_id };
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let rows = post_revisions::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, None)
}

/// Makes an author's post again what it was, as [`update`] would.
///
/// # Errors
/// [`Code::NotFound`] for the post or the revision, or [`Code::PreconditionFailed`].
pub async fn restore(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    post_id: Uuid,
    id: Uuid,
    expected: Expected<Post>,
) -> Result<Post> {
    require_own(core, author_id, post_id).await?;
    let found = post_revisions::find(&mut *core.db.conn().await?, post_id, id).await?;
    let PostRevision { title, body, tags, .. } = found.ok_or(Code::NotFound)?;
    let (title, body, tags) = (Some(title), Some(body), Some(tags));
    let edit = Edit { title, body, tags, ..Edit::default() };
    update(core, origin, author_id, post_id, expected, edit).await
}

async fn require_own(core: &Core, author_id: Uuid, post_id: Uuid) -> Result<()> {
    let post = get(core, Some(author_id), &PostKey::Id(post_id)).await?;
    if post.author_id == author_id { Ok(()) } else { Err(Code::NotFound.into()) }
}
