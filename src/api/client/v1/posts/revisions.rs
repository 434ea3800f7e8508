//! What one's own posts were before they were changed.

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
    post::{Post, a_body, a_tag, a_title, an_id},
};
use crate::{
    api::{
        auth::ClientAuth,
        envelope::{Answer, ApiResponse, CursorPage},
        etag::IfMatch,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::post_revisions::{PostRevision, RevisionSort},
    services::{Core, posts::revisions},
};

/// What a post was.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Revision {
    /// The revision's identifier.
    pub id: Uuid,
    /// One line of plain text.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The words that it was found by.
    pub tags: Vec<String>,
    /// Until when the post was so.
    pub replaced_at: DateTime<Utc>,
}

impl From<PostRevision> for Revision {
    fn from(revision: PostRevision) -> Self {
        Self {
            id: revision.id,
            title: revision.title,
            body: revision.body,
            tags: revision.tags,
            replaced_at: revision.created_at,
        }
    }
}

/// Operations on revisions.
pub struct RevisionsApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl RevisionsApi {
    /// List what one's own post was
    ///
    /// The last 100 revisions, the latest first.
    #[oai(path = "/:id/revisions", method = "get", operation_id = "list_revisions")]
    async fn list(
        &self,
        auth: ClientAuth,
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
        sort: Query<SortText<RevisionSort>>,
    ) -> Answer<CursorPage<Revision>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let found = revisions::list(core.0, auth.account_id, id.0, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Make one's own post again what it was
    ///
    /// What it is now becomes a revision.
    #[oai(
        path = "/:id/revisions/:revision_id/restore",
        method = "post",
        operation_id = "restore_revision"
    )]
    async fn restore(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        /// The revision's identifier.
        #[oai(example = "an_id")]
        revision_id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Answer<Post> {
        let (author, expected) = (auth.account_id, if_match.expected::<Post, _>());
        let (origin, revision) = (&auth.origin, revision_id.0);
        let post = revisions::restore(core.0, origin, author, id.0, revision, expected).await?;
        Ok(ApiResponse::success(post.into()))
    }
}

impl Example for Revision {
    fn example() -> Self {
        Self {
            id: an_id(),
            title: a_title(),
            body: a_body(),
            tags: vec![a_tag().0],
            replaced_at: DateTime::UNIX_EPOCH,
        }
    }
}
