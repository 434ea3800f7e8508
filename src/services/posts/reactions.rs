//! What users make of posts: likes, and comments. Who can see a post can do both.

use uuid::Uuid;

use super::{
    super::{
        Code, Core, Result,
        cursors::{ListRequest, Listed},
        markdown,
    },
    get, kept, require_visible,
};
use crate::db::{
    Origin,
    post_comments::{self, CommentFilter, CommentSort, NewComment, PostComment},
    post_counts::{self, Reactions},
    post_likes,
    posts::PostKey,
};

/// What users make of a post by now: two statements.
///
/// # Errors
/// [`Code::NotFound`] for what `viewer` may not see.
pub async fn of(core: &Core, viewer: Option<Uuid>, key: &PostKey) -> Result<Reactions> {
    let post = get(core, viewer, key).await?;
    let mut conn = core.db.conn().await?;
    let found = post_counts::reactions(&mut conn, post.id, viewer).await?;
    Ok(found.ok_or(Code::NotFound)?)
}

/// Notes that a user likes a post, or doesn't any more; again it changes nothing.
///
/// # Errors
/// [`Code::NotFound`] for what the user may not see.
pub async fn like(
    core: &Core,
    origin: &Origin,
    user_id: Uuid,
    post_id: Uuid,
    is_liked: bool,
) -> Result<Reactions> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    require_visible(&mut tx, user_id, post_id).await?;
    if is_liked {
        post_likes::insert(&mut tx, post_id, user_id, now).await?;
    } else {
        post_likes::delete(&mut tx, post_id, user_id).await?;
    }
    let found = post_counts::reactions(&mut tx, post_id, Some(user_id)).await?;
    let reactions = found.ok_or(Code::NotFound)?;
    tx.commit().await?;
    Ok(reactions)
}

/// One page of the comments on a post: two statements.
///
/// # Errors
/// [`Code::NotFound`] for a post that `viewer` may not see, or [`Code::ValidationFailed`] for a cursor of another list.
pub async fn comments(
    core: &Core,
    viewer: Option<Uuid>,
    key: &PostKey,
    request: ListRequest<CommentSort>,
) -> Result<Listed<PostComment>> {
    let filter = CommentFilter { post_id: get(core, viewer, key).await?.id };
    listed(core, filter, request).await
}

/// One page of the comments that match: one statement.
pub(super) async fn listed(
    core: &Core,
    filter: CommentFilter,
    request: ListRequest<CommentSort>,
) -> Result<Listed<PostComment>> {
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let rows = post_comments::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, None)
}

/// Says something to a post.
///
/// # Errors
/// [`Code::NotFound`] for a post that the author may not see, or [`Code::ValidationFailed`] for a text that can't be
/// rendered.
pub async fn comment(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    post_id: Uuid,
    body: &str,
) -> Result<PostComment> {
    let html = markdown::render("body", body).await?.html;
    let mut tx = core.db.begin(origin).await?;
    require_visible(&mut tx, author_id, post_id).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let new = NewComment { id, post_id, author_id, body, html, created_at: now, updated_at: now };
    let comment = post_comments::insert(&mut tx, new).await?;
    tx.commit().await?;
    Ok(comment)
}

/// Deletes one's own comment, or one on one's own post.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete_comment(core: &Core, origin: &Origin, user_id: Uuid, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    if !post_comments::delete_by(&mut tx, id, user_id).await? {
        return Err(Code::NotFound.into());
    }
    Ok(tx.commit().await?)
}

/// Adds up to `limit` changes each to the counts of posts and of tags, and returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn add_counts(core: &Core, origin: &Origin, limit: i64) -> Result<i64> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let posts = post_counts::add_to_posts(&mut tx, limit).await?;
    let ids: Vec<Uuid> = posts.iter().map(|post| post.id).collect();
    kept::tell_of_counts(core, &mut tx, &ids).await?;
    let of_posts: i64 = posts.iter().map(|post| post.changes).sum();
    let of_tags = post_counts::add_to_tags(&mut tx, limit, now).await?;
    tx.commit().await?;
    Ok(of_posts + of_tags)
}
