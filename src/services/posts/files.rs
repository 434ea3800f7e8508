//! Files that come with posts: a cover that everybody sees, and attachments for who can see the post.

use uuid::Uuid;

use super::{
    super::{
        Code, Core, Result,
        files::{self, Wanted},
    },
    get,
};
use crate::{
    adapters::storage::Presigned,
    db::{Tx, files::FilePurpose, posts::PostKey},
};

/// Makes sure that an author can give these to a post, and that they are there until the transaction ends.
pub(super) async fn require(
    tx: &mut Tx,
    author_id: Uuid,
    cover_id: Option<Uuid>,
    attachment_ids: &[Uuid],
) -> Result<()> {
    let cover = cover_id.map(|id| Wanted {
        id,
        purpose: FilePurpose::PostCover,
        field: "cover_id".to_owned(),
    });
    let attachments = attachment_ids.iter().enumerate().map(|(index, id)| Wanted {
        id: *id,
        purpose: FilePurpose::Attachment,
        field: format!("attachment_ids[{index}]"),
    });
    files::require(tx, author_id, &cover.into_iter().chain(attachments).collect::<Vec<_>>()).await
}

/// A URL by which an attachment of a post can be downloaded for a while.
///
/// # Errors
/// [`Code::NotFound`] for a post that `viewer` may not see or a file that doesn't come with it, [`Code::NotConfigured`].
pub async fn download(
    core: &Core,
    viewer: Option<Uuid>,
    key: &PostKey,
    file_id: Uuid,
) -> Result<Presigned> {
    let post = get(core, viewer, key).await?;
    let file = post.attachments.iter().find(|file| file.id == file_id).ok_or(Code::NotFound)?;
    files::download(core, post.author_id, file.id).await
}
