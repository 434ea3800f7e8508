//! Posts: what everybody reads, and what their authors do with them.

pub mod bin;
pub mod files;
mod kept;
pub mod moderation;
pub mod publishing;
pub mod reactions;
pub mod revisions;
pub mod words;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    Code, Core, Expected, Result,
    cursors::{ListRequest, Listed},
    markdown::{self, Rendered},
};
use crate::db::{
    Origin, Tx, post_attachments,
    posts::{
        self, AuthorFilter, AuthorPost, AuthorSort, FeedFilter, FeedPost, FeedSort, FoundSort,
        NewPost, Post, PostChanges, PostKey, PostStage, PostState,
    },
    tags::{self, Tag},
};

pub use kept::tell_of_authors;

/// For how long an author can restore a deleted post.
pub const BIN: TimeDelta = TimeDelta::days(30);

/// One page of the published posts that match: from the cache, or by one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn feed(
    core: &Core,
    filter: &FeedFilter,
    request: ListRequest<FeedSort>,
) -> Result<Listed<FeedPost>> {
    let reading = core.cursors.start(request, filter)?;
    let rows = kept::feed(core, filter, &reading.window).await?;
    reading.finish(rows, None)
}

/// One page of the published posts that have these words, those that fit best first, of the latest that have them: two
/// statements.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn search(
    core: &Core,
    text: &str,
    request: ListRequest<FoundSort>,
) -> Result<Listed<FeedPost>> {
    let reading = core.cursors.start(request, &text)?;
    let mut conn = core.db.conn().await?;
    let found = posts::search(&mut conn, text, &reading.window).await?;
    let Listed { items, next_cursor, limit, numbered } = reading.finish(found, None)?;
    let items = posts::in_order(&mut conn, &items).await?;
    Ok(Listed { items, next_cursor, limit, numbered })
}

/// The tags that begin so, those of most published posts first.
///
/// # Errors
/// When the database fails.
pub async fn tags(core: &Core, prefix: &str, limit: u32) -> Result<Vec<Tag>> {
    Ok(tags::list(&mut *core.db.conn().await?, prefix, limit.into()).await?)
}

/// One page of an author's own posts: one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn of_author(
    core: &Core,
    filter: AuthorFilter,
    request: ListRequest<AuthorSort>,
) -> Result<Listed<AuthorPost>> {
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let rows = posts::of_author(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, None)
}

/// One post, as `viewer` may see it: what is published, and what is their own. It comes from the cache, or by one
/// statement.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, viewer: Option<Uuid>, key: &PostKey) -> Result<Post> {
    let found = kept::find(core, key).await?;
    Ok(found.filter(|post| is_visible(post, viewer)).ok_or(Code::NotFound)?)
}

fn is_visible(post: &Post, viewer: Option<Uuid>) -> bool {
    let is_own = viewer == Some(post.author_id) && post.state != PostState::Deleted;
    post.state == PostState::Published || is_own
}

/// Makes sure that `viewer` may see a post, and that it is there until the transaction ends.
///
/// # Errors
/// [`Code::NotFound`].
pub(super) async fn require_visible(tx: &mut Tx, viewer: Uuid, id: Uuid) -> Result<Post> {
    let found = posts::hold(tx, id).await?;
    Ok(found.filter(|post| is_visible(post, Some(viewer))).ok_or(Code::NotFound)?)
}

/// What an author writes.
#[derive(Debug, Clone)]
pub struct Draft {
    pub title: String,
    pub body: String,
    pub tags: Vec<String>,
    /// One of the author's files for this purpose, as are those that come with the post.
    pub cover_id: Option<Uuid>,
    pub attachment_ids: Vec<Uuid>,
}

/// Writes a draft.
///
/// # Errors
/// [`Code::ValidationFailed`] for a text that can't be rendered or files that the author doesn't have,
/// [`Code::FileNotReady`].
pub async fn create(core: &Core, origin: &Origin, author_id: Uuid, draft: &Draft) -> Result<Post> {
    let Draft { title, body, tags, cover_id, attachment_ids } = draft;
    let Rendered { html, excerpt } = markdown::render("body", body).await?;
    let mut tx = core.db.begin(origin).await?;
    files::require(&mut tx, author_id, *cover_id, attachment_ids).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let new = NewPost {
        id,
        author_id,
        slug: slug(title, id),
        title,
        body,
        html,
        excerpt,
        tags,
        cover_id: *cover_id,
        stage: PostStage::Draft,
        created_at: now,
        updated_at: now,
    };
    let mut post = posts::insert(&mut tx, new).await?;
    if !attachment_ids.is_empty() {
        post_attachments::set(&mut tx, id, attachment_ids, now).await?;
        post = posts::find(&mut tx, &PostKey::Id(id)).await?.ok_or(Code::NotFound)?;
    }
    kept::tell_of_new(core, &mut tx, &post).await?;
    tx.commit().await?;
    Ok(post)
}

/// What to change of a post; `None` leaves alone.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    pub title: Option<String>,
    pub body: Option<String>,
    pub tags: Option<Vec<String>>,
    /// `Some(None)`: no cover.
    pub cover_id: Option<Option<Uuid>>,
    pub attachment_ids: Option<Vec<Uuid>>,
}

/// Changes what the author wrote. The address stays.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PreconditionFailed`], [`Code::ValidationFailed`] for a text that can't be rendered or files
/// that the author doesn't have, or [`Code::FileNotReady`].
pub async fn update(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    id: Uuid,
    expected: Expected<Post>,
    edit: Edit,
) -> Result<Post> {
    let rendered = match &edit.body {
        Some(body) => Some(markdown::render("body", body).await?),
        None => None,
    };
    let (html, excerpt) = rendered.map(|it| (it.html, it.excerpt)).unzip();
    let mut tx = core.db.begin(origin).await?;
    let present = lock_own(&mut tx, author_id, id).await?;
    expected.check(&present)?;
    revisions::keep(core, &mut tx, &present, &edit).await?;
    let Edit { title, body, tags, cover_id, attachment_ids } = edit;
    let attached = attachment_ids.as_deref().unwrap_or_default();
    files::require(&mut tx, author_id, cover_id.flatten(), attached).await?;
    if attachment_ids.is_some() {
        let now = tx.now;
        post_attachments::set(&mut tx, id, attached, now).await?;
    }
    let changes =
        PostChanges { title, body, html, excerpt, tags, cover_id, ..PostChanges::default() };
    let post = kept::change(core, &mut tx, &present, changes).await?;
    tx.commit().await?;
    Ok(post)
}

/// Changes an author's own post, if it isn't deleted.
async fn change(
    core: &Core,
    origin: &Origin,
    author_id: Uuid,
    id: Uuid,
    expected: Expected<Post>,
    decide: impl FnOnce(&Post, DateTime<Utc>) -> Result<PostChanges, Code>,
) -> Result<Post> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let present = lock_own(&mut tx, author_id, id).await?;
    expected.check(&present)?;
    let post = kept::change(core, &mut tx, &present, decide(&present, now)?).await?;
    publishing::order(core, &mut tx, &present, &post).await?;
    tx.commit().await?;
    Ok(post)
}

/// An author's own post that isn't deleted.
async fn lock_own(tx: &mut Tx, author_id: Uuid, id: Uuid) -> Result<Post> {
    let found = posts::lock(tx, id).await?;
    let is_there = |post: &Post| post.author_id == author_id && post.state != PostState::Deleted;
    Ok(found.filter(is_there).ok_or(Code::NotFound)?)
}

/// The address of a post: its title, as far as addresses are read, and random digits, by which it is unique and no
/// identifier.
fn slug(title: &str, id: Uuid) -> String {
    /// In characters.
    const MAX_WORDS: usize = 60;
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    let words = words.get(..MAX_WORDS).unwrap_or(&words).trim_end_matches('-');
    let digits = &id.simple().to_string()[22..];
    if words.is_empty() { format!("post-{digits}") } else { format!("{words}-{digits}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_ascii_and_no_identifier() {
        let id = Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_00aa_bbcc_ddee);
        for (title, expected) in [
            ("Hello, World!", "hello-world-aabbccddee"),
            ("  --  ", "post-aabbccddee"),
            ("Über 漢字", "ber-aabbccddee"),
            ("漢字", "post-aabbccddee"),
            ("01975b2e-7c40-7000-8000", "01975b2e-7c40-7000-8000-aabbccddee"),
        ] {
            assert_eq!(slug(title, id), expected);
            assert!(slug(title, id).parse::<Uuid>().is_err());
        }
        assert_eq!(slug(&"ab ".repeat(100), id).len(), 59 + 11);
    }
}
