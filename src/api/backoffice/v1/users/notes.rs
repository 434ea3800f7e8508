//! What staff write down about users.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Example,
};
use uuid::Uuid;

use super::{super::Tag, managed_user::an_id};
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, CursorPage, NoContent},
        error::ApiError,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::user_notes::{UserNote, UserNoteSort},
    services::{
        Core,
        permissions::{UsersRead, UsersUpdate},
        users::notes,
    },
};

/// A note about a user, which the user doesn't see.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedUserNote {
    /// The note's identifier.
    pub id: Uuid,
    /// What it says.
    pub text: String,
    /// The admin who wrote it; absent when that account is no more.
    #[oai(skip_serializing_if_is_none)]
    pub written_by: Option<Uuid>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

impl From<UserNote> for ManagedUserNote {
    fn from(note: UserNote) -> Self {
        Self {
            id: note.id,
            text: note.text,
            written_by: note.admin_id,
            created_at: note.created_at,
        }
    }
}

/// Something to write down.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateUserNoteRequest {
    /// What the note says.
    #[oai(validator(
        min_length = 1,
        max_length = 5000,
        pattern = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
    ))]
    pub text: String,
}

/// Operations on notes about users.
pub struct UserNotesApi;

#[OpenApi(prefix_path = "/users", tag = "Tag::Users")]
impl UserNotesApi {
    /// List notes about a user
    ///
    /// The newest first, unless it is said otherwise.
    #[oai(path = "/:id/notes", method = "get", operation_id = "list_user_notes")]
    async fn list(
        &self,
        _auth: StaffAuth<UsersRead>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: Query<PageSize>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<UserNoteSort>>,
    ) -> Answer<CursorPage<ManagedUserNote>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        Ok(ApiResponse::success(notes::list(core.0, id.0, request).await?.into()))
    }

    /// Write a note about a user
    ///
    /// For other members of the staff.
    #[oai(path = "/:id/notes", method = "post", operation_id = "create_user_note")]
    async fn create(
        &self,
        auth: StaffAuth<UsersUpdate>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<CreateUserNoteRequest>,
    ) -> Answer<ManagedUserNote> {
        let note = notes::create(core.0, &auth.origin, id.0, &body.0.text).await?;
        Ok(ApiResponse::success(note.into()))
    }

    /// Delete a note about a user
    ///
    /// For good.
    #[oai(path = "/:id/notes/:note_id", method = "delete", operation_id = "delete_user_note")]
    async fn delete(
        &self,
        auth: StaffAuth<UsersUpdate>,
        core: Data<&Arc<Core>>,
        /// The user's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        /// The note's identifier.
        #[oai(example = "an_id")]
        note_id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        notes::delete(core.0, &auth.origin, id.0, note_id.0).await?;
        Ok(NoContent::Done)
    }
}

impl Example for ManagedUserNote {
    fn example() -> Self {
        Self {
            id: an_id(),
            text: "Called about a refund.".to_owned(),
            written_by: Some(an_id()),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for CreateUserNoteRequest {
    fn example() -> Self {
        Self { text: "Called about a refund.".to_owned() }
    }
}
