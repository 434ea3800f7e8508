//! One action on many posts.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;

use super::super::{
    Tag,
    bulk::{BulkRequest, BulkResults},
};
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse},
    },
    services::{
        Core, Expected,
        bulk::Rows,
        permissions::{PostsDelete, PostsModerate},
        posts::moderation,
    },
};

/// Operations on many posts.
pub struct PostsBulkApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl PostsBulkApi {
    /// Hide posts
    ///
    /// Each as `hide_post` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/hide", method = "post", operation_id = "hide_posts")]
    async fn hide(
        &self,
        auth: StaffAuth<PostsModerate>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        let (BulkRequest { ids, reason }, mut rows) = (body.0, Rows::default());
        for id in ids {
            let anything = Expected::anything();
            rows.add(id, moderation::hide(core.0, &auth.origin, id, anything, &reason.0).await)?;
        }
        Ok(ApiResponse::success(rows.into()))
    }

    /// Show hidden posts again
    ///
    /// Each as `restore_hidden_post` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/restore", method = "post", operation_id = "restore_hidden_posts")]
    async fn restore(
        &self,
        auth: StaffAuth<PostsModerate>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        let (BulkRequest { ids, reason }, mut rows) = (body.0, Rows::default());
        for id in ids {
            let anything = Expected::anything();
            rows.add(id, moderation::restore(core.0, &auth.origin, id, anything, &reason.0).await)?;
        }
        Ok(ApiResponse::success(rows.into()))
    }

    /// Delete posts for good
    ///
    /// Each as `erase_post` does. One that fails keeps no other from it.
    #[oai(path = "/bulk/delete", method = "post", operation_id = "erase_posts")]
    async fn erase(
        &self,
        auth: RecentStaffAuth<PostsDelete>,
        core: Data<&Arc<Core>>,
        body: Body<BulkRequest>,
    ) -> Answer<BulkResults> {
        let (BulkRequest { ids, reason }, mut rows) = (body.0, Rows::default());
        for id in ids {
            let anything = Expected::anything();
            rows.add(id, moderation::erase(core.0, &auth.origin, id, anything, &reason.0).await)?;
        }
        Ok(ApiResponse::success(rows.into()))
    }
}
