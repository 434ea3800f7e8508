//! What staff do to posts.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    super::Tag,
    managed_post::{ManagedPost, an_id},
};
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, NoContent},
        error::ApiError,
        etag::IfMatch,
        idempotency::IdempotencyKey,
        types::Reason,
    },
    services::{
        Core,
        permissions::{PostsDelete, PostsModerate},
        posts::moderation,
    },
};

/// Why something is done to a post.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ModeratePostRequest {
    /// For the record. Of what is hidden or deleted the author is told it, too.
    pub reason: Reason,
}

/// Operations on what others see.
pub struct ModerationApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl ModerationApi {
    /// Hide a post
    ///
    /// From all but its author, who is told why. Its open reports are resolved by that.
    #[oai(path = "/:id/hide", method = "post", operation_id = "hide_post")]
    async fn hide(
        &self,
        auth: StaffAuth<PostsModerate>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<ModeratePostRequest>,
    ) -> Answer<ManagedPost> {
        let (origin, expected) = (&auth.origin, if_match.expected::<ManagedPost, _>());
        let post = moderation::hide(core.0, origin, id.0, expected, &body.0.reason.0).await?;
        Ok(ApiResponse::success(post.into()))
    }

    /// Show a hidden post again
    ///
    /// As far as its author, who is told of it, wants it shown.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_hidden_post")]
    async fn restore(
        &self,
        auth: StaffAuth<PostsModerate>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<ModeratePostRequest>,
    ) -> Answer<ManagedPost> {
        let (origin, expected) = (&auth.origin, if_match.expected::<ManagedPost, _>());
        let post = moderation::restore(core.0, origin, id.0, expected, &body.0.reason.0).await?;
        Ok(ApiResponse::success(post.into()))
    }

    /// Delete a post for good
    ///
    /// With all that hangs on it; nothing takes that back. Its author is told why.
    #[oai(path = "/:id/delete", method = "post", operation_id = "erase_post")]
    async fn erase(
        &self,
        auth: RecentStaffAuth<PostsDelete>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The post's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Body<ModeratePostRequest>,
    ) -> Result<NoContent, ApiError> {
        let (origin, expected) = (&auth.origin, if_match.expected::<ManagedPost, _>());
        moderation::erase(core.0, origin, id.0, expected, &body.0.reason.0).await?;
        Ok(NoContent::Done)
    }
}

impl Example for ModeratePostRequest {
    fn example() -> Self {
        Self { reason: Reason("It names people who have not agreed.".to_owned()) }
    }
}
