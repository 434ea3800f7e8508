//! Where deleted posts stay for a while (see [`BIN`](super::BIN)).

use uuid::Uuid;

use super::{
    super::{Code, Core, Expected, Result},
    change, kept,
};
use crate::db::{
    Origin,
    posts::{self, Post, PostChanges, PostState},
};

/// Deletes an author's post: nobody sees it any more, whatever else is decided about it.
///
/// # Errors
/// [`Code::NotFound`] or [`Code::PreconditionFailed`].
pub async fn delete(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    id: Uuid,
    expected: Expected<Post>,
) -> Result<()> {
    change(core, origin, author_id, id, expected, |_, now| {
        Ok(PostChanges { deleted_at: Some(Some(now)), ..PostChanges::default() })
    })
    .await
    .map(drop)
}

/// Takes an author's post out of the bin: it is what it was, or what is due by now.
///
/// # Errors
/// [`Code::NotFound`] or [`Code::PostInOtherState`].
pub async fn restore(core: &Core, origin: &Origin, author_id: Uuid, id: Uuid) -> Result<Post> {
    let mut tx = core.db.begin(origin).await?;
    let found = posts::lock(&mut tx, id).await?.filter(|post| post.author_id == author_id);
    let present = found.ok_or(Code::NotFound)?;
    if present.state != PostState::Deleted {
        return Err(Code::PostInOtherState.into());
    }
    let changes = PostChanges { deleted_at: Some(None), ..PostChanges::default() };
    let post = kept::change(core, &mut tx, &present, changes).await?;
    tx.commit().await?;
    Ok(post)
}
