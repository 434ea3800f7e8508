//! `user_notes`: what staff write down about users.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Conn,
    keyset::{Window, sortable},
    schema::user_notes,
};

/// A note about a user.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = user_notes, check_for_backend(Pg))]
pub struct UserNote {
    pub id: Uuid,
    pub text: String,
    /// Who wrote it; unset when that admin is no more.
    pub admin_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
}

/// What a new row needs.
pub struct NewUserNote<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    pub admin_id: Option<Uuid>,
    pub text: &'a str,
    pub now: DateTime<Utc>,
}

/// Stores a note.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewUserNote<'_>) -> QueryResult<UserNote> {
    diesel::insert_into(user_notes::table)
        .values((
            user_notes::id.eq(new.id),
            user_notes::user_id.eq(new.user_id),
            user_notes::admin_id.eq(new.admin_id),
            user_notes::text.eq(new.text),
            user_notes::created_at.eq(new.now),
            user_notes::updated_at.eq(new.now),
        ))
        .returning(UserNote::as_returning())
        .get_result(conn)
        .await
}

sortable! {
    /// What a list of notes can be sorted by.
    UserNoteSort: UserNote, user_notes, "-created_at", [created_at]
}

/// About whom to list notes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct UserNoteFilter {
    pub user_id: Uuid,
}

/// The notes in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: UserNoteFilter,
    window: &Window<UserNoteSort>,
) -> QueryResult<Vec<UserNote>> {
    user_notes::table
        .filter(user_notes::user_id.eq(filter.user_id))
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(UserNote::as_select())
        .load(conn)
        .await
}

/// Deletes a note about the user; `false` when there is none.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, user_id: Uuid, id: Uuid) -> QueryResult<bool> {
    let note = user_notes::table.find(id).filter(user_notes::user_id.eq(user_id));
    Ok(diesel::delete(note).execute(conn).await? == 1)
}
