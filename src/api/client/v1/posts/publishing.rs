//! When others see a post.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    super::Tag,
    post::{Post, an_id},
};
use crate::{
    api::{
        auth::ClientAuth,
        body::Body,
        envelope::{Answer, ApiResponse},
        etag::IfMatch,
        idempotency::IdempotencyKey,
    },
    services::{Core, posts::publishing},
};

/// When a post is to be published.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct SchedulePostRequest {
    /// In the future.
    pub publish_at: DateTime<Utc>,
}

/// Operations on when others see a post.
pub struct PublishingApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl PublishingApi {
    /// Publish one's own post
    ///
    /// Now, a draft as well as what is scheduled.
    #[oai(path = "/:id/publish", method = "post", operation_id = "publish_post")]
    async fn publish(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Answer<Post> {
        let (author, expected) = (auth.account_id, if_match.expected::<Post, _>());
        let post = publishing::publish(core.0, &auth.origin, author, id.0, expected).await?;
        Ok(ApiResponse::success(post.into()))
    }

    /// Have one's own post published at a time
    ///
    /// A draft, or at another time than before.
    #[oai(path = "/:id/schedule", method = "post", operation_id = "schedule_post")]
    async fn schedule(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<SchedulePostRequest>,
    ) -> Answer<Post> {
        let (origin, author, time) = (&auth.origin, auth.account_id, body.0.publish_at);
        let expected = if_match.expected::<Post, _>();
        let post = publishing::schedule(core.0, origin, author, id.0, expected, time).await?;
        Ok(ApiResponse::success(post.into()))
    }

    /// Make a draft again of one's own post
    ///
    /// Of what is published, or is to be.
    #[oai(path = "/:id/unpublish", method = "post", operation_id = "unpublish_post")]
    async fn unpublish(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Answer<Post> {
        let (author, expected) = (auth.account_id, if_match.expected::<Post, _>());
        let post = publishing::unpublish(core.0, &auth.origin, author, id.0, expected).await?;
        Ok(ApiResponse::success(post.into()))
    }
}

impl Example for SchedulePostRequest {
    fn example() -> Self {
        Self { publish_at: DateTime::UNIX_EPOCH }
    }
}
