//! Posts by way of the cache: what is kept, what it was made of, and what to tell when that changes.
//!
//! A post is made of its row, its author's name, and its files. So is a page of the feed, of each of its posts; and it is made of
//! which posts there are: of all, of a tag or of an author. A post that comes changes the pages of what it belongs to; one
//! that goes, the pages that it is on.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::super::{
    Core, Result, ServiceError,
    cache::{Change, Key, Loaded},
    files::removal,
};
use crate::db::{
    Tx,
    keyset::Window,
    posts::{self, FeedFilter, FeedPost, FeedSort, Post, PostChanges, PostKey, PostState},
};

/// All that was made of one post, or of there being none of this name.
fn of_post(name: impl std::fmt::Display) -> String {
    format!("post {name}")
}

/// The pages that a post is on.
fn with_post(id: Uuid) -> String {
    format!("with post {id}")
}

/// All that has an author's name.
fn of_author(id: Uuid) -> String {
    format!("posts of {id}")
}

/// Pages of all posts.
const FEED: &str = "feed";

/// Pages of an author's posts.
fn by_author(id: Uuid) -> String {
    format!("feed by {id}")
}

/// Pages of what has a tag.
fn of_tag(tag: &str) -> String {
    format!("feed of {tag}")
}

/// The post of this name, in whatever state: from the cache, or by one statement.
pub(super) async fn find(core: &Core, key: &PostKey) -> Result<Option<Post>> {
    let load = || async {
        let value = posts::find(&mut *core.db.conn().await?, key).await?;
        let tags = match &value {
            Some(post) => {
                let attached = post.attachments.iter().map(|file| file.id);
                let files = attached.chain(post.cover_id).map(removal::tag);
                files.chain([of_post(post.id), of_author(post.author_id)]).collect()
            }
            None => vec![of_post(key)],
        };
        Ok(Loaded { value, tags })
    };
    core.cache.get_or_load(&Key::new("post", key), load).await
}

/// The posts in a window of the feed: from the cache, or by one statement.
pub(super) async fn feed(
    core: &Core,
    filter: &FeedFilter,
    window: &Window<FeedSort>,
) -> Result<Vec<FeedPost>> {
    let Window { sort, behind, limit, .. } = window;
    let place = (filter, sort.to_string(), behind, limit);
    let name = serde_json::to_string(&place).map_err(ServiceError::internal)?;
    let load = || async {
        let posts = posts::feed(&mut *core.db.conn().await?, filter, window).await?;
        // What comes to an author's posts with a tag comes to all with it.
        let all = match (&filter.tag, filter.author_id) {
            (Some(tag), _) => of_tag(tag),
            (None, Some(id)) => by_author(id),
            (None, None) => FEED.to_owned(),
        };
        let authors: BTreeSet<Uuid> = posts.iter().map(|post| post.author_id).collect();
        let covers = posts.iter().filter_map(|post| post.cover_id).map(removal::tag);
        let tags = posts.iter().map(|post| with_post(post.id)).chain(covers);
        let tags = tags.chain(authors.into_iter().map(of_author)).chain([all]).collect();
        Ok(Loaded { value: Some(posts), tags })
    };
    Ok(core.cache.get_or_load(&Key::new("feed", name), load).await?.unwrap_or_default())
}

/// Changes a post that is locked as `before`.
pub(super) async fn change(
    core: &Core,
    tx: &mut Tx,
    before: &Post,
    changes: PostChanges,
) -> Result<Post> {
    let now = tx.now;
    let after = posts::change(tx, before.id, changes, now).await?;
    core.cache.changes(tx, &changed(before, &after)).await?;
    Ok(after)
}

/// Tells of a new post, which nobody may have been told of: of its names it was known that there is none.
pub(super) async fn tell_of_new(core: &Core, tx: &mut Tx, post: &Post) -> Result<()> {
    let names = [of_post(post.id), of_post(&post.slug)];
    core.cache.changes(tx, &names.map(Change::Tag)).await
}

/// Tells of a post that is no more.
pub(super) async fn tell_of_gone(core: &Core, tx: &mut Tx, id: Uuid) -> Result<()> {
    core.cache.changes(tx, &[of_post(id), with_post(id)].map(Change::Tag)).await
}

/// Tells of posts whose counts are others.
pub(super) async fn tell_of_counts(core: &Core, tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    let pages: Vec<Change> = ids.iter().map(|id| Change::Tag(with_post(*id))).collect();
    core.cache.changes(tx, &pages).await
}

/// Tells of authors who have another name, or are no more.
///
/// # Errors
/// When the database fails.
pub async fn tell_of_authors(core: &Core, tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    let all: Vec<Change> = ids.iter().map(|id| Change::Tag(of_author(*id))).collect();
    core.cache.changes(tx, &all).await
}

/// What changes with a post.
fn changed(before: &Post, after: &Post) -> Vec<Change> {
    let is_shown = |post: &Post| post.state == PostState::Published;
    let mut tags = vec![of_post(after.id)];
    if is_shown(before) {
        tags.push(with_post(after.id));
    }
    if is_shown(after) {
        let comes = !is_shown(before) || before.published_at != after.published_at;
        if comes {
            tags.extend([FEED.to_owned(), by_author(after.author_id)]);
        }
        let new = after.tags.iter().filter(|tag| comes || !before.tags.contains(tag));
        tags.extend(new.map(|tag| of_tag(tag)));
    }
    tags.into_iter().map(Change::Tag).collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::db::posts::PostStage;

    fn post(state: PostState, published_at: Option<DateTime<Utc>>, tags: &[&str]) -> Post {
        let text = String::new;
        Post {
            id: Uuid::from_u128(1),
            author_id: Uuid::from_u128(2),
            author_name: None,
            slug: text(),
            title: text(),
            body: text(),
            html: text(),
            excerpt: text(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            stage: PostStage::Published,
            state,
            published_at,
            hidden_at: None,
            hidden_reason: None,
            deleted_at: None,
            cover_id: None,
            attachments: Vec::new(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_changes_is_told_and_nothing_else() {
        use PostState::{Draft, Hidden, Published};

        let (id, author) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (post_tag, pages, by) = (of_post(id), with_post(id), by_author(author));
        let (a, b) = (of_tag("a"), of_tag("b"));
        let at = |seconds| Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
        let (one, both) = (&["a"][..], &["a", "b"][..]);
        for (before, after, expected) in [
            (post(Draft, None, one), post(Draft, None, both), vec![&post_tag]),
            (
                post(Draft, None, both),
                post(Published, at(1), both),
                vec![&post_tag, &FEED.to_owned(), &by, &a, &b],
            ),
            (post(Published, at(1), one), post(Published, at(1), one), vec![&post_tag, &pages]),
            (
                post(Published, at(1), one),
                post(Published, at(1), both),
                vec![&post_tag, &pages, &b],
            ),
            (post(Published, at(1), both), post(Published, at(1), one), vec![&post_tag, &pages]),
            (post(Published, at(1), both), post(Hidden, at(1), both), vec![&post_tag, &pages]),
            (
                post(Published, at(1), one),
                post(Published, at(2), one),
                vec![&post_tag, &pages, &FEED.to_owned(), &by, &a],
            ),
        ] {
            let expected: Vec<Change> = expected.into_iter().cloned().map(Change::Tag).collect();
            assert_eq!(changed(&before, &after), expected, "{:?} {:?}", before.state, after.state);
        }
    }
}
