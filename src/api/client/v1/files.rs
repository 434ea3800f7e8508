//! The signed-in user's own files.

pub(super) mod file;

use std::sync::Arc;

use poem::{Body, Request, http::header::CONTENT_LENGTH, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Binary,
};
use uuid::Uuid;

use super::Tag;
use crate::{
    adapters::storage::Presigned,
    api::{
        auth::ClientAuth,
        body::Body as JsonBody,
        envelope::{Answer, ApiResponse, CursorPage, NoContent},
        error::ApiError,
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::files::{FileSort, OwnFileFilter},
    services::{
        Core,
        files::{self, removal, uploads},
    },
};
use file::{
    CreateFileRequest, CreatedFile, File, FileDownload, FilePurpose, FileState, a_purpose, a_state,
    an_id,
};

/// Operations on one's own files.
pub struct FilesApi;

#[OpenApi(prefix_path = "/files", tag = "Tag::Files")]
impl FilesApi {
    /// Announce a file
    ///
    /// Answers the request by which to upload it; call `complete_file` then. There is room for it from now on, until
    /// it is deleted, or given up.
    #[oai(path = "/", method = "post", operation_id = "create_file")]
    async fn create(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        body: JsonBody<CreateFileRequest>,
    ) -> Answer<CreatedFile> {
        let announced = body.0.into();
        let (file, upload) =
            uploads::create(core.0, &auth.origin, auth.account_id, &announced).await?;
        Ok(ApiResponse::success(CreatedFile { file: file.into(), upload: upload.into() }))
    }

    /// Complete a file
    ///
    /// After its upload. Size, type and checksum are compared with what was announced; a file that differs is
    /// deleted.
    #[oai(path = "/:id/complete", method = "post", operation_id = "complete_file")]
    async fn complete(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<File> {
        let file = uploads::complete(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(ApiResponse::success(file.into()))
    }

    /// Upload a file by way of this server
    ///
    /// Instead of the request that `create_file` has answered, where an app can't reach the storage. The body is the
    /// file, as long as was announced; one that differs is deleted.
    #[oai(path = "/:id/content", method = "put", operation_id = "upload_file")]
    async fn upload(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        request: &Request,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Binary<Body>,
    ) -> Answer<File> {
        let length = request.header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let (own, incoming) = ((auth.account_id, id.0), body.0.into_bytes_stream());
        let file = uploads::receive(core.0, &auth.origin, own, length, incoming).await?;
        Ok(ApiResponse::success(file.into()))
    }

    /// List one's own files
    ///
    /// Newest first.
    #[oai(path = "/", method = "get", operation_id = "list_files")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// Only those for this.
        #[oai(example = "a_purpose")]
        purpose: Query<Option<FilePurpose>>,
        /// Only those that are so far.
        #[oai(example = "a_state")]
        state: Query<Option<FileState>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<FileSort>>,
    ) -> Answer<CursorPage<File>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        let filter = OwnFileFilter {
            owner_id: auth.account_id,
            purpose: purpose.0.map(Into::into),
            state: state.0.map(Into::into),
        };
        Ok(ApiResponse::success(files::list(core.0, filter, request).await?.into()))
    }

    /// Read one of one's own files
    ///
    /// What is known of it; `get_file_download` leads to its bytes.
    #[oai(path = "/:id", method = "get", operation_id = "get_file")]
    async fn get(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<File> {
        Ok(ApiResponse::success(files::get(core.0, auth.account_id, id.0).await?.into()))
    }

    /// Download one of one's own files
    ///
    /// Answers an address of the storage, which is good for a short time.
    #[oai(path = "/:id/download", method = "get", operation_id = "get_file_download")]
    async fn download(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<FileDownload> {
        let signed = files::download(core.0, auth.account_id, id.0).await?;
        let Presigned { url, expires_at, .. } = signed;
        Ok(ApiResponse::success(FileDownload { url, expires_at }))
    }

    /// Delete one of one's own files
    ///
    /// For good.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_file")]
    async fn delete(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        removal::delete(core.0, &auth.origin, auth.account_id, id.0).await?;
        Ok(NoContent::Done)
    }
}
