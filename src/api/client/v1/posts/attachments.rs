//! Files that come with posts.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::super::{Tag, files::file::FileDownload};
use crate::{
    adapters::storage::Presigned,
    api::{
        auth::Reader,
        envelope::{Answer, ApiResponse},
        types::PostName,
    },
    db::post_attachments::Attachment,
    services::{Core, posts::files},
};

/// A file that comes with a post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PostAttachment {
    /// The file's identifier.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// In bytes.
    pub size: i64,
}

impl From<Attachment> for PostAttachment {
    fn from(file: Attachment) -> Self {
        let Attachment { id, name, content_type, size } = file;
        Self { id, name, content_type, size }
    }
}

/// Operations on attachments.
pub struct AttachmentsApi;

#[OpenApi(prefix_path = "/posts", tag = "Tag::Posts")]
impl AttachmentsApi {
    /// Download an attachment of a post
    ///
    /// Whoever can see the post. Answers an address of the storage, which is good for a short time.
    #[oai(
        path = "/:id/attachments/:file_id/download",
        method = "get",
        operation_id = "get_attachment_download"
    )]
    async fn download(
        &self,
        reader: Reader,
        core: Data<&Arc<Core>>,
        /// The post's identifier, or its slug.
        #[oai(example = "PostName::example")]
        id: Path<PostName>,
        /// The file's identifier.
        #[oai(example = "a_file")]
        file_id: Path<Uuid>,
    ) -> Answer<FileDownload> {
        let (viewer, key) = (reader.account_id, id.0.key());
        let Presigned { url, expires_at, .. } =
            files::download(core.0, viewer, &key, file_id.0).await?;
        Ok(ApiResponse::success(FileDownload { url, expires_at }))
    }
}

fn a_file() -> Uuid {
    PostAttachment::example().id
}

impl Example for PostAttachment {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0003),
            name: "notes.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size: 20_480,
        }
    }
}
