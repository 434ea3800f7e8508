//! Posts: for everybody to read, and for users to write.

mod attachments;
mod own;
mod post;
mod publishing;
mod reactions;
mod reports;
mod revisions;
mod search;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::{Example, MaybeUndefined},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::{ClientAuth, Reader},
        body::Body,
        envelope::{Answer, ApiResponse, CursorPage, NoContent},
        error::ApiError,
        etag::IfMatch,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageSize, SortText, feed_request},
        types::{PostName, TagName, nullable},
    },
    db::posts::{FeedFilter, FeedSort},
    services::{
        Core,
        posts::{self, Draft, Edit, bin},
    },
};

pub use attachments::AttachmentsApi;
pub use own::OwnPostsApi;
use post::{Post, PostAuthor, PostSummary, a_body, a_tag, a_title, an_id};
pub use publishing::PublishingApi;
pub use reactions::ReactionsApi;
pub use reports::PostReportsApi;
pub use revisions::RevisionsApi;
pub use search::SearchApi;

/// A new post, which only its author sees until it is published.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreatePostRequest {
    /// One line.
    #[oai(validator(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$"
    ))]
    pub title: String,
    /// Markdown, with tables and strikethrough; HTML in it is shown as text.
    #[oai(validator(min_length = 1, max_length = 50000))]
    pub body: String,
    /// Words to find it by: lower-case letters, digits and dashes.
    #[oai(default, validator(max_items = 10, unique_items))]
    pub tags: Vec<TagName>,
    /// A picture to show with it: one of one's own files for this purpose, which is ready.
    pub cover_id: Option<Uuid>,
    /// Files that come with it: some of one's own for this purpose, which are ready.
    #[oai(default, validator(max_items = 10, unique_items))]
    pub attachment_ids: Vec<Uuid>,
}

/// What to change: an absent field is left alone.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdatePostRequest {
    /// One line. The slug stays as it is.
    #[oai(validator(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$"
    ))]
    pub title: Option<String>,
    /// Markdown, with tables and strikethrough; HTML in it is shown as text.
    #[oai(validator(min_length = 1, max_length = 50000))]
    pub body: Option<String>,
    /// Words to find it by: lower-case letters, digits and dashes.
    #[oai(validator(max_items = 10, unique_items))]
    pub tags: Option<Vec<TagName>>,
    /// A picture to show with it: one of one's own files for this purpose, which is ready; `null` for none.
    pub cover_id: MaybeUndefined<Uuid>,
    /// The files that come with it: some of one's own for this purpose, which are ready.
    #[oai(validator(max_items = 10, unique_items))]
    pub attachment_ids: Option<Vec<Uuid>>,
}

impl From<CreatePostRequest> for Draft {
    fn from(request: CreatePostRequest) -> Self {
        let CreatePostRequest { title, body, tags, cover_id, attachment_ids } = request;
        Self { title, body, tags: names(tags), cover_id, attachment_ids }
    }
}

impl From<UpdatePostRequest> for Edit {
    fn from(request: UpdatePostRequest) -> Self {
        let UpdatePostRequest { title, body, tags, cover_id, attachment_ids } = request;
        Self { title, body, tags: tags.map(names), cover_id: nullable(cover_id), attachment_ids }
    }
}

fn names(tags: Vec<TagName>) -> Vec<String> {
    tags.into_iter().map(|tag| tag.0).collect()
}

/// Operations on posts.
pub struct PostsApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl PostsApi {
    /// List published posts
    ///
    /// The latest first.
    #[oai(path = "/", method = "get", operation_id = "list_posts")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _reader: Reader,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<FeedSort>>,
        /// Only posts with this tag.
        #[oai(example = "some_tag")]
        tag: Query<Option<TagName>>,
        /// Only posts of this user.
        #[oai(example = "an_author")]
        author_id: Query<Option<Uuid>>,
    ) -> Answer<CursorPage<PostSummary>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let filter = FeedFilter { tag: tag.0.map(|tag| tag.0), author_id: author_id.0 };
        let found = posts::feed(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Write a post
    ///
    /// A draft, which only its author sees.
    #[oai(path = "/", method = "post", operation_id = "create_post")]
    async fn create(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<CreatePostRequest>,
    ) -> Answer<Post> {
        let (origin, author) = (&auth.origin, auth.account_id);
        let post = posts::create(core.0, origin, author, &body.0.into()).await?;
        Ok(ApiResponse::success(post.into()))
    }

    /// Read a post
    ///
    /// By its identifier or its slug. Who isn't its author sees it while it is published.
    #[oai(path = "/:id", method = "get", operation_id = "get_post")]
    async fn get(
        &self,
        reader: Reader,
        core: Data<&Arc<Core>>,
        /// The post's identifier, or its slug.
        #[oai(example = "PostName::example")]
        id: Path<PostName>,
    ) -> Answer<Post> {
        let post = posts::get(core.0, reader.account_id, &id.0.key()).await?;
        Ok(ApiResponse::success(post.into()))
    }

    /// Change one's own post
    ///
    /// Changes what the body names and answers the whole post.
    #[oai(path = "/:id", method = "patch", operation_id = "update_post")]
    async fn update(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<UpdatePostRequest>,
    ) -> Answer<Post> {
        let (author, expected) = (auth.account_id, if_match.expected::<Post, _>());
        let post =
            posts::update(core.0, &auth.origin, author, id.0, expected, body.0.into()).await?;
        Ok(ApiResponse::success(post.into()))
    }

    /// Delete one's own post
    ///
    /// For 30 days `restore_post` takes it back.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_post")]
    async fn delete(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Result<NoContent, ApiError> {
        let (author, expected) = (auth.account_id, if_match.expected::<Post, _>());
        bin::delete(core.0, &auth.origin, author, id.0, expected).await?;
        Ok(NoContent::Done)
    }

    /// Take back the deletion of one's own post
    ///
    /// It is what it was before, or what has become due meanwhile.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_post")]
    async fn restore(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<Post> {
        let post = bin::restore(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(ApiResponse::success(post.into()))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn some_tag() -> Option<TagName> {
    Some(a_tag())
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn an_author() -> Option<Uuid> {
    Some(PostAuthor::example().id)
}

impl Example for CreatePostRequest {
    fn example() -> Self {
        let (title, body, tags) = (a_title(), a_body(), vec![a_tag()]);
        Self { title, body, tags, cover_id: None, attachment_ids: Vec::new() }
    }
}

impl Example for UpdatePostRequest {
    fn example() -> Self {
        Self {
            title: Some(a_title()),
            body: Some(a_body()),
            tags: Some(vec![a_tag()]),
            cover_id: MaybeUndefined::Null,
            attachment_ids: Some(Vec::new()),
        }
    }
}
