//! One's own posts, in whatever state.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query, types::Example};
use uuid::Uuid;

use super::{
    super::{Tag, pictures},
    post::{PostStatus, a_cover, a_slug, a_tag, a_title, an_excerpt, an_id},
};
use crate::{
    api::{
        auth::ClientAuth,
        envelope::{Answer, ApiResponse, CursorPage},
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::posts::{self as rows, AuthorFilter, AuthorSort},
    services::{Core, posts},
};

/// One of one's own posts in a list.
#[derive(Debug, Object)]
#[oai(example)]
pub struct OwnPost {
    /// The post's identifier.
    pub id: Uuid,
    /// Its name in addresses.
    pub slug: String,
    /// One line of plain text.
    pub title: String,
    /// How it begins, in plain text.
    pub excerpt: String,
    /// The words that it is found by.
    pub tags: Vec<String>,
    /// Where the picture is that is shown with it: a path of this server; absent without one.
    #[oai(skip_serializing_if_is_none)]
    pub cover_url: Option<String>,
    /// What it is.
    pub status: PostStatus,
    /// When it was published, or is to be; absent of drafts.
    #[oai(skip_serializing_if_is_none)]
    pub published_at: Option<DateTime<Utc>>,
    /// Why staff hide it; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub hidden_reason: Option<String>,
    /// When it was deleted, to be gone for good 30 days later; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<rows::AuthorPost> for OwnPost {
    fn from(post: rows::AuthorPost) -> Self {
        Self {
            id: post.id,
            slug: post.slug,
            title: post.title,
            excerpt: post.excerpt,
            tags: post.tags,
            cover_url: post.cover_id.map(pictures::url),
            status: post.state.into(),
            published_at: post.published_at,
            hidden_reason: post.hidden_reason,
            deleted_at: post.deleted_at,
            created_at: post.created_at,
            updated_at: post.updated_at,
        }
    }
}

/// Operations on one's own posts.
pub struct OwnPostsApi;

#[OpenApi(prefix_path = "/users/me/posts", tag = "Tag::Posts")]
impl OwnPostsApi {
    /// List one's own posts
    ///
    /// Newest first; those that are deleted only when they are asked for.
    #[oai(path = "/", method = "get", operation_id = "list_own_posts")]
    async fn list(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<AuthorSort>>,
        /// Only posts with this status.
        #[oai(example = "draft")]
        status: Query<Option<PostStatus>>,
    ) -> Answer<CursorPage<OwnPost>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let filter = AuthorFilter { author_id: auth.account_id, state: status.0.map(Into::into) };
        let found = posts::of_author(core.0, filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn draft() -> Option<PostStatus> {
    Some(PostStatus::Draft)
}

impl Example for OwnPost {
    fn example() -> Self {
        Self {
            id: an_id(),
            slug: a_slug(),
            title: a_title(),
            excerpt: an_excerpt(),
            tags: vec![a_tag().0],
            cover_url: Some(a_cover()),
            status: PostStatus::Deleted,
            published_at: Some(DateTime::UNIX_EPOCH),
            hidden_reason: Some("It names people who have not agreed.".to_owned()),
            deleted_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}
