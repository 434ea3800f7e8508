//! Files of users, as staff see them.

mod managed_file;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, CursorPage, NoContent, Page},
        error::ApiError,
        listing::{Cursor, PageNumber, PageSize, SortText, feed_request, table_request},
        types::FileTypeName,
    },
    db::{
        file_spaces::FileSpaceSort,
        files::{FileFilter, ManagedFileSort},
    },
    services::{
        Core,
        files::{credentials, managed},
        permissions::{FilesDelete, FilesRead, FilesUpload},
    },
};
use managed_file::{
    DeleteFileRequest, FilePreview, FileUsage, ManagedFile, ManagedFilePurpose, ManagedFileState,
    Orphans, StaffCredentials, an_id,
};

/// Operations on files of users.
pub struct ManagedFilesApi;

#[OpenApi(prefix_path = "/files", tag = "Tag::Files")]
impl ManagedFilesApi {
    /// List files
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_managed_files")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<FilesRead>,
        core: Data<&Arc<Core>>,
        /// Which page, from 1; not with a cursor.
        page: Query<Option<PageNumber>>,
        /// How many items a page holds.
        #[oai(default)]
        per_page: Query<PageSize>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<ManagedFileSort>>,
        /// Only those of this user.
        #[oai(example = "some_id")]
        owner_id: Query<Option<Uuid>>,
        /// Only those of this media type.
        #[oai(example = "a_type")]
        content_type: Query<Option<FileTypeName>>,
        /// Only those for this.
        #[oai(example = "a_purpose")]
        purpose: Query<Option<ManagedFilePurpose>>,
        /// Only those that are so far.
        #[oai(example = "a_state")]
        state: Query<Option<ManagedFileState>>,
        /// Only those of at least so many bytes.
        #[oai(example = "a_size", validator(minimum(value = "0")))]
        size_from: Query<Option<i64>>,
        /// Only those of at most so many bytes.
        #[oai(example = "a_size", validator(minimum(value = "0")))]
        size_to: Query<Option<i64>>,
        /// Only those announced then or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only those announced before.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Page<ManagedFile>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = FileFilter {
            owner_id: owner_id.0,
            content_type: content_type.0.map(|name| name.0.text()),
            purpose: purpose.0.map(Into::into),
            state: state.0.map(Into::into),
            size_from: size_from.0,
            size_to: size_to.0,
            created_from: created_from.0,
            created_to: created_to.0,
        };
        Ok(ApiResponse::success(managed::list(core.0, &filter, request).await?.into()))
    }

    /// List how much users have filled
    ///
    /// Who has most comes first, unless it is said otherwise.
    #[oai(path = "/usage", method = "get", operation_id = "list_file_usage")]
    async fn usage(
        &self,
        _auth: StaffAuth<FilesRead>,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<FileSpaceSort>>,
    ) -> Answer<CursorPage<FileUsage>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        Ok(ApiResponse::success(managed::usage(core.0, request).await?.into()))
    }

    /// List objects that belong to no file
    ///
    /// Looks at a thousand objects of the storage. An upload that is just being completed may look like one.
    #[oai(path = "/orphans", method = "get", operation_id = "list_orphans")]
    async fn orphans(
        &self,
        _auth: StaffAuth<FilesRead>,
        core: Data<&Arc<Core>>,
        /// The `next_after` of the answer before.
        #[oai(example = "a_key", validator(max_length = 1024, pattern = "^[A-Za-z0-9._/-]+$"))]
        after: Query<Option<String>>,
    ) -> Answer<Orphans> {
        let found = managed::orphans(core.0, after.0.as_deref()).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a file
    ///
    /// What is known of it.
    #[oai(path = "/:id", method = "get", operation_id = "get_managed_file")]
    async fn get(
        &self,
        _auth: StaffAuth<FilesRead>,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedFile> {
        Ok(ApiResponse::success(managed::get(core.0, id.0).await?.into()))
    }

    /// Look at a file
    ///
    /// Answers an address of the storage, which is good for a short time. The audit log says who looked.
    #[oai(path = "/:id/preview", method = "post", operation_id = "preview_managed_file")]
    async fn preview(
        &self,
        auth: StaffAuth<FilesRead>,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<FilePreview> {
        let signed = managed::preview(core.0, &auth.origin, id.0).await?;
        Ok(ApiResponse::success(signed.into()))
    }

    /// Delete a file
    ///
    /// For good.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_managed_file")]
    async fn delete(
        &self,
        auth: StaffAuth<FilesDelete>,
        core: Data<&Arc<Core>>,
        /// The file's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<DeleteFileRequest>,
    ) -> Result<NoContent, ApiError> {
        managed::delete(core.0, &auth.origin, id.0, &body.0.reason).await?;
        Ok(NoContent::Done)
    }

    /// Get temporary credentials
    ///
    /// For programs that speak the S3 protocol: they may upload below `prefix`, and nothing else.
    #[oai(
        path = "/temporary-credentials",
        method = "post",
        operation_id = "create_staff_credentials"
    )]
    async fn credentials(
        &self,
        auth: StaffAuth<FilesUpload>,
        core: Data<&Arc<Core>>,
    ) -> Answer<StaffCredentials> {
        let given = credentials::for_staff(core.0, &auth.origin, auth.account_id).await?;
        Ok(ApiResponse::success(given.into()))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn some_id() -> Option<Uuid> {
    Some(an_id())
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn a_type() -> Option<FileTypeName> {
    Some(FileTypeName(crate::services::files::FileType::Pdf))
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn a_purpose() -> Option<ManagedFilePurpose> {
    Some(ManagedFilePurpose::Attachment)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn a_state() -> Option<ManagedFileState> {
    Some(ManagedFileState::Ready)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn a_size() -> Option<i64> {
    Some(1_000_000)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn a_time() -> Option<DateTime<Utc>> {
    Some(DateTime::UNIX_EPOCH)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn a_key() -> Option<String> {
    Some(format!("files/{}/", an_id()))
}
