//! Large files of the signed-in user, uploaded in parts; and credentials for who uploads much.

mod part;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};
use uuid::Uuid;

use super::{
    Tag,
    files::file::{CreateFileRequest, an_id},
};
use crate::{
    api::{
        auth::{ClientAuth, Never},
        body::Body,
        envelope::{Answer, ApiResponse},
        idempotency::IdempotencyKey,
    },
    services::{
        Core,
        files::{credentials, parts},
    },
};

use part::{
    CreatedMultipartFile, FileParts, SignFilePartsRequest, SignedParts, TemporaryCredentials,
};

/// Operations on large files.
pub struct MultipartApi;

#[OpenApi(prefix_path = "/files", tag = "Tag::Files")]
impl MultipartApi {
    /// Announce a large file
    ///
    /// It is uploaded in parts, in any order and each as often as it takes: `sign_file_parts` answers how,
    /// `list_file_parts` what has arrived, so that an upload goes on after a break. Call `complete_file` then;
    /// `delete_file` breaks it off.
    #[oai(path = "/multipart", method = "post", operation_id = "create_multipart_file")]
    async fn create(
        &self,
        auth: ClientAuth,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<CreateFileRequest>,
    ) -> Answer<CreatedMultipartFile> {
        let announced = body.0.into();
        let file = parts::create(core.0, &auth.origin, auth.account_id, &announced).await?;
        let part_size = file.part_size.unwrap_or_default();
        let parts = parts::count(&file).unwrap_or_default();
        Ok(ApiResponse::success(CreatedMultipartFile { file: file.into(), part_size, parts }))
    }

    /// Sign parts of a large file
    ///
    /// Answers the requests by which to upload them, each with its part as its body.
    #[oai(path = "/:id/parts", method = "post", operation_id = "sign_file_parts")]
    async fn sign(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<SignFilePartsRequest>,
    ) -> Answer<SignedParts> {
        let signed = parts::sign(core.0, auth.account_id, id.0, &body.0.numbers).await?;
        let items = signed.into_iter().map(Into::into).collect();
        Ok(ApiResponse::success(SignedParts { items }))
    }

    /// List the parts of a large file
    ///
    /// Those that have arrived.
    #[oai(path = "/:id/parts", method = "get", operation_id = "list_file_parts")]
    async fn arrived(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<FileParts> {
        let arrived = parts::arrived(core.0, auth.account_id, id.0).await?;
        let items = arrived.into_iter().map(Into::into).collect();
        Ok(ApiResponse::success(FileParts { items }))
    }

    /// Get temporary credentials
    ///
    /// For programs that speak the S3 protocol: they may upload below `prefix`, and nothing else. Announce a file as
    /// ever, upload it to `prefix` and its identifier, and complete it.
    #[oai(
        path = "/temporary-credentials",
        method = "post",
        operation_id = "create_temporary_credentials"
    )]
    async fn credentials(
        &self,
        auth: ClientAuth<Never>,
        core: Data<&Arc<Core>>,
    ) -> Answer<TemporaryCredentials> {
        let given = credentials::for_user(core.0, &auth.origin, auth.account_id).await?;
        Ok(ApiResponse::success(given.into()))
    }
}
