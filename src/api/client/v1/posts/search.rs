//! How published posts are found.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query, types::Example};

use super::{
    super::Tag,
    post::{PostSummary, a_tag},
};
use crate::{
    api::{
        auth::Reader,
        envelope::{Answer, ApiResponse, CursorPage},
        listing::{Cursor, PageSize, SortText, feed_request},
        types::{SearchText, TagName},
    },
    db::{posts::FoundSort, tags as rows},
    services::{Core, posts},
};

/// A word that published posts are found by.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PostTag {
    /// The word.
    pub name: String,
    /// How many published posts have it.
    pub posts: i64,
}

/// Tags of published posts.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PostTags {
    /// Those of most posts first.
    pub items: Vec<PostTag>,
}

impl From<rows::Tag> for PostTag {
    fn from(tag: rows::Tag) -> Self {
        Self { name: tag.name, posts: tag.post_count }
    }
}

/// Operations that find posts.
pub struct SearchApi;

#[OpenApi(tag = "Tag::Posts")]
impl SearchApi {
    /// Search published posts
    ///
    /// By words of the title and the text, all of which a post has to have. The last one may be the beginning of a word: it
    /// stands for itself and for the 20 words that begin so and that most posts have; what was written in the last minute
    /// may not be counted yet. The latest 200 posts that have all words are compared, and those that fit best come first.
    #[oai(path = "/posts/search", method = "get", operation_id = "search_posts")]
    async fn search(
        &self,
        _reader: Reader,
        core: Data<&Arc<Core>>,
        /// Words, the last of which may be the beginning of one.
        #[oai(example = "words")]
        q: Query<SearchText>,
        /// The `next_cursor` of the page before, with the same words.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
    ) -> Answer<CursorPage<PostSummary>> {
        let request = feed_request(cursor.0, limit.0, &SortText::<FoundSort>::default())?;
        let found = posts::search(core.0, &q.0.0, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// List tags
    ///
    /// Up to 100 of those that begin as asked for. What was published in the last minute may not be counted yet.
    #[oai(path = "/tags", method = "get", operation_id = "list_tags")]
    async fn tags(
        &self,
        _reader: Reader,
        core: Data<&Arc<Core>>,
        /// How their names begin.
        #[oai(example = "some_tag")]
        q: Query<Option<TagName>>,
        /// How many, at most.
        #[oai(default)]
        limit: Query<PageSize>,
    ) -> Answer<PostTags> {
        let prefix = q.0.map(|tag| tag.0).unwrap_or_default();
        let found = posts::tags(core.0, &prefix, limit.0.0).await?;
        Ok(ApiResponse::success(PostTags { items: found.into_iter().map(Into::into).collect() }))
    }
}

fn words() -> SearchText {
    SearchText("analytical eng".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn some_tag() -> Option<TagName> {
    Some(a_tag())
}

impl Example for PostTag {
    fn example() -> Self {
        Self { name: a_tag().0, posts: 7 }
    }
}

impl Example for PostTags {
    fn example() -> Self {
        Self { items: vec![PostTag::example()] }
    }
}
