//! The signed-in user's picture.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, types::Example};
use uuid::Uuid;

use super::{Tag, users::CurrentUser};
use crate::{
    api::{
        auth::ClientAuth,
        body::Body,
        envelope::{Answer, ApiResponse},
    },
    services::{Core, files::avatars},
};

/// A file that is to be one's picture.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct SetAvatarRequest {
    /// One of one's own files for this purpose, which is ready.
    pub file_id: Uuid,
}

/// Operations on one's own picture.
pub struct AvatarApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl AvatarApi {
    /// Set one's own picture
    ///
    /// The file of the one before is deleted.
    #[oai(path = "/me/avatar", method = "put", operation_id = "set_avatar")]
    async fn set(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        body: Body<SetAvatarRequest>,
    ) -> Answer<CurrentUser> {
        let file_id = Some(body.0.file_id);
        let user = avatars::set(core.0, &auth.origin, auth.account_id, file_id).await?;
        Ok(ApiResponse::success(user.into()))
    }

    /// Delete one's own picture
    ///
    /// With its file.
    #[oai(path = "/me/avatar", method = "delete", operation_id = "delete_avatar")]
    async fn delete(&self, auth: ClientAuth, core: Data<&Arc<Core>>) -> Answer<CurrentUser> {
        let user = avatars::set(core.0, &auth.origin, auth.account_id, None).await?;
        Ok(ApiResponse::success(user.into()))
    }
}

impl Example for SetAvatarRequest {
    fn example() -> Self {
        Self { file_id: Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001) }
    }
}
