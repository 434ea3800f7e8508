//! `file_spaces`: how much each user has filled with files.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*, upsert::excluded};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Conn,
    keyset::{Window, sortable},
    schema::file_spaces,
};

/// How much a user may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub files: i64,
    pub bytes: i64,
}

/// What a user has filled.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = file_spaces, check_for_backend(Pg))]
pub struct FileSpace {
    /// Also the name of the folder where the user's uploads arrive.
    pub id: Uuid,
    pub user_id: Uuid,
    pub files: i64,
    pub bytes: i64,
}

/// Takes room for one more file, and makes the space with the first one, by this id; `None` where the quota has no
/// such room. Until the transaction ends nobody else takes room of the same user's.
///
/// # Errors
/// When the statement fails.
pub async fn take(
    conn: &mut Conn,
    user_id: Uuid,
    id: Uuid,
    size: i64,
    quota: Quota,
    now: DateTime<Utc>,
) -> QueryResult<Option<FileSpace>> {
    use diesel::query_dsl::methods::FilterDsl;

    if quota.files < 1 || size > quota.bytes {
        return Ok(None);
    }
    diesel::insert_into(file_spaces::table)
        .values((
            file_spaces::user_id.eq(user_id),
            file_spaces::id.eq(id),
            file_spaces::files.eq(1),
            file_spaces::bytes.eq(size),
            file_spaces::created_at.eq(now),
            file_spaces::updated_at.eq(now),
        ))
        .on_conflict(file_spaces::user_id)
        .do_update()
        .set((
            file_spaces::files.eq(file_spaces::files + excluded(file_spaces::files)),
            file_spaces::bytes.eq(file_spaces::bytes + excluded(file_spaces::bytes)),
            file_spaces::updated_at.eq(now),
        ))
        .filter(file_spaces::files.lt(quota.files).and(file_spaces::bytes.le(quota.bytes - size)))
        .returning(FileSpace::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// Gives room back.
///
/// # Errors
/// When the statement fails.
pub async fn free(
    conn: &mut Conn,
    user_id: Uuid,
    files: i64,
    bytes: i64,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::update(file_spaces::table.filter(file_spaces::user_id.eq(user_id)))
        .set((
            file_spaces::files.eq(file_spaces::files - files),
            file_spaces::bytes.eq(file_spaces::bytes - bytes),
            file_spaces::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes the spaces of users, whose files are deleted already.
///
/// # Errors
/// When the statement fails.
pub async fn delete_of(conn: &mut Conn, user_ids: &[Uuid]) -> QueryResult<Vec<FileSpace>> {
    diesel::delete(file_spaces::table.filter(file_spaces::user_id.eq_any(user_ids)))
        .returning(FileSpace::as_returning())
        .get_results(conn)
        .await
}

sortable! {
    /// What a list of spaces can be sorted by.
    FileSpaceSort: FileSpace, file_spaces, "-bytes", [bytes, files]
}

/// The query of [`list`].
pub fn listed(window: &Window<FileSpaceSort>) -> file_spaces::BoxedQuery<'_, Pg> {
    let all = file_spaces::table.into_boxed();
    all.filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The spaces in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut Conn, window: &Window<FileSpaceSort>) -> QueryResult<Vec<FileSpace>> {
    listed(window).select(FileSpace::as_select()).load(conn).await
}

/// The space of a user, made by this id if there is none yet.
///
/// # Errors
/// When the statement fails.
pub async fn ensure(
    conn: &mut Conn,
    user_id: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<FileSpace> {
    diesel::insert_into(file_spaces::table)
        .values((
            file_spaces::id.eq(id),
            file_spaces::user_id.eq(user_id),
            file_spaces::files.eq(0),
            file_spaces::bytes.eq(0),
            file_spaces::created_at.eq(now),
            file_spaces::updated_at.eq(now),
        ))
        .on_conflict(file_spaces::user_id)
        .do_update()
        // So that the row is returned.
        .set(file_spaces::user_id.eq(user_id))
        .returning(FileSpace::as_returning())
        .get_result(conn)
        .await
}
