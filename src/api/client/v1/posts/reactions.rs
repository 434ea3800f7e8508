//! What users make of posts.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Example,
};
use uuid::Uuid;

use super::{
    super::Tag,
    post::{PostAuthor, an_id},
};
use crate::{
    api::{
        auth::{ClientAuth, Reader},
        body::Body,
        envelope::{Answer, ApiResponse, CursorPage, NoContent},
        error::ApiError,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageSize, SortText, feed_request},
        types::PostName,
    },
    db::{
        post_comments::{CommentSort, PostComment},
        post_counts::Reactions,
    },
    services::{Core, posts::reactions},
};

/// What users make of a post. It is read apart from the post, so that the tag of that names what its author wrote.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PostReactions {
    /// How many users like it.
    pub likes: i64,
    /// How many comments there are.
    pub comments: i64,
    /// Whether the caller likes it.
    pub is_liked: bool,
}

/// What a user says to a post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Comment {
    /// The comment's identifier.
    pub id: Uuid,
    /// Who said it.
    pub author: PostAuthor,
    /// Markdown.
    pub body: String,
    /// The body as HTML without anything that could do harm.
    pub html: String,
    /// When it was said.
    pub created_at: DateTime<Utc>,
}

/// What to say.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateCommentRequest {
    /// Markdown, with tables and strikethrough; HTML in it is shown as text.
    #[oai(validator(min_length = 1, max_length = 5000))]
    pub body: String,
}

impl From<Reactions> for PostReactions {
    fn from(reactions: Reactions) -> Self {
        let Reactions { likes, comments, is_liked } = reactions;
        Self { likes, comments, is_liked }
    }
}

impl From<PostComment> for Comment {
    fn from(comment: PostComment) -> Self {
        Self {
            id: comment.id,
            author: PostAuthor { id: comment.author_id, name: comment.author_name },
            body: comment.body,
            html: comment.html,
            created_at: comment.created_at,
        }
    }
}

/// Operations on likes and comments.
pub struct ReactionsApi;

#[OpenApi(tag = "Tag::Posts")]
impl ReactionsApi {
    /// Count likes and comments of a post
    ///
    /// As they are by now; lists may show them a minute late.
    #[oai(path = "/posts/:id/reactions", method = "get", operation_id = "get_post_reactions")]
    async fn reactions(
        &self,
        reader: Reader,
        core: Data<&Arc<Core>>,
        /// The post's identifier, or its slug.
        #[oai(example = "PostName::example")]
        id: Path<PostName>,
    ) -> Answer<PostReactions> {
        let found = reactions::of(core.0, reader.account_id, &id.0.key()).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Like a post
    ///
    /// Again it changes nothing.
    #[oai(path = "/posts/:id/like", method = "put", operation_id = "like_post")]
    async fn like(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<PostReactions> {
        let user = auth.account_id;
        let found = reactions::like(core.0, &auth.origin, user, id.0, true).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Take one's like of a post back
    ///
    /// Again it changes nothing.
    #[oai(path = "/posts/:id/like", method = "delete", operation_id = "unlike_post")]
    async fn unlike(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        reactions::like(core.0, &auth.origin, auth.account_id, id.0, false).await?;
        Ok(NoContent::Done)
    }

    /// List comments on a post
    ///
    /// The oldest first.
    #[oai(path = "/posts/:id/comments", method = "get", operation_id = "list_comments")]
    async fn comments(
        &self,
        reader: Reader,
        core: Data<&Arc<Core>>,
        /// The post's identifier, or its slug.
        #[oai(example = "PostName::example")]
        id: Path<PostName>,
        /// The `next_cursor` of the page before, with the same sort.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<CommentSort>>,
    ) -> Answer<CursorPage<Comment>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let (viewer, key) = (reader.account_id, id.0.key());
        let found = reactions::comments(core.0, viewer, &key, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Comment on a post
    ///
    /// Whoever can see it.
    #[oai(path = "/posts/:id/comments", method = "post", operation_id = "create_comment")]
    async fn comment(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<CreateCommentRequest>,
    ) -> Answer<Comment> {
        let (origin, user) = (&auth.origin, auth.account_id);
        let comment = reactions::comment(core.0, origin, user, id.0, &body.0.body).await?;
        Ok(ApiResponse::success(comment.into()))
    }

    /// Delete a comment
    ///
    /// One's own, or one on one's own post.
    #[oai(path = "/comments/:id", method = "delete", operation_id = "delete_comment")]
    async fn delete_comment(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The comment's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        reactions::delete_comment(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(NoContent::Done)
    }
}

impl Example for PostReactions {
    fn example() -> Self {
        Self { likes: 12, comments: 3, is_liked: true }
    }
}

impl Example for Comment {
    fn example() -> Self {
        Self {
            id: an_id(),
            author: PostAuthor::example(),
            body: "And *flowers*?".to_owned(),
            html: "<p>And <em>flowers</em>?</p>\n".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for CreateCommentRequest {
    fn example() -> Self {
        Self { body: "And *flowers*?".to_owned() }
    }
}
