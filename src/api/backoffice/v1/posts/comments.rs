//! What users say to posts, as staff see it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Example,
};
use uuid::Uuid;

use super::{super::Tag, managed_post::an_id};
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, CursorPage, NoContent},
        error::ApiError,
        listing::{Cursor, PageSize, SortText, feed_request},
        types::Reason,
    },
    db::post_comments::{CommentSort, PostComment},
    services::{
        Core,
        permissions::{PostsModerate, PostsRead},
        posts::moderation,
    },
};

/// What a user says to a post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedComment {
    /// The comment's identifier.
    pub id: Uuid,
    /// The user who said it.
    pub author_id: Uuid,
    /// The user's name; absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub author_name: Option<String>,
    /// Markdown.
    pub body: String,
    /// The body as HTML without anything that could do harm.
    pub html: String,
    /// When it was said.
    pub created_at: DateTime<Utc>,
}

impl From<PostComment> for ManagedComment {
    fn from(comment: PostComment) -> Self {
        Self {
            id: comment.id,
            author_id: comment.author_id,
            author_name: comment.author_name,
            body: comment.body,
            html: comment.html,
            created_at: comment.created_at,
        }
    }
}

/// Why a comment is deleted.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct DeleteCommentRequest {
    /// For the record.
    pub reason: Reason,
}

/// Operations on comments.
pub struct CommentsApi;

#[OpenApi(tag = "Tag::Posts")]
impl CommentsApi {
    /// List comments on any post
    ///
    /// The oldest first, in whatever state the post is.
    #[oai(path = "/posts/:id/comments", method = "get", operation_id = "list_post_comments")]
    async fn list(
        &self,
        _auth: StaffAuth<PostsRead>,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        /// The `next_cursor` of the page before, with the same sort.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<CommentSort>>,
    ) -> Answer<CursorPage<ManagedComment>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let found = moderation::comments(core.0, id.0, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Delete any comment
    ///
    /// For good.
    #[oai(path = "/comments/:id", method = "delete", operation_id = "delete_any_comment")]
    async fn delete(
        &self,
        auth: StaffAuth<PostsModerate>,
        core: Data<&Arc<Core>>,
        /// The comment's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<DeleteCommentRequest>,
    ) -> Result<NoContent, ApiError> {
        moderation::delete_comment(core.0, &auth.origin, id.0, &body.0.reason.0).await?;
        Ok(NoContent::Done)
    }
}

impl Example for DeleteCommentRequest {
    fn example() -> Self {
        Self { reason: Reason("It names people who have not agreed.".to_owned()) }
    }
}

impl Example for ManagedComment {
    fn example() -> Self {
        Self {
            id: an_id(),
            author_id: an_id(),
            author_name: Some("Ada".to_owned()),
            body: "And *flowers*?".to_owned(),
            html: "<p>And <em>flowers</em>?</p>\n".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}
