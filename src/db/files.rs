//! `files`: what users upload.

mod lists;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::files, text_enum};

pub use lists::{
    FileFilter, FileSort, ManagedFileSort, OwnFileFilter, count, counted, list, list_own, listed,
    listed_own,
};

text_enum! {
    /// What a file is for, which decides what it may be.
    FilePurpose {
        /// A picture of its owner, for everybody.
        Avatar = "avatar",
        /// The picture of a post, for everybody.
        PostCover = "post_cover",
        /// Anything else.
        Attachment = "attachment",
    }
}

text_enum! {
    /// How far a file is.
    FileState {
        /// It is to be uploaded.
        Pending = "pending",
        /// It is here, and being made into what is shown of it.
        Processing = "processing",
        /// It can be used.
        Ready = "ready",
        /// It can't be read as what it says it is.
        Failed = "failed",
    }
}

/// A file of a user.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = files, check_for_backend(Pg))]
pub struct File {
    pub id: Uuid,
    pub owner_id: Uuid,
    pub purpose: FilePurpose,
    pub name: String,
    pub content_type: String,
    /// In bytes.
    pub size: i64,
    /// SHA-256, where it is known.
    pub sha256: Option<Vec<u8>>,
    pub state: FileState,
    /// The object that an upload makes.
    pub upload_key: String,
    /// The object, which only the server writes; none until the upload is complete.
    pub key: Option<String>,
    /// When it is given up, while it is pending.
    pub expires_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// In pixels, of a picture that was made into another one.
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// What the storage calls an upload in parts.
    pub upload_id: Option<String>,
    /// In bytes, of each part but the last.
    pub part_size: Option<i64>,
}

/// What a new row needs.
pub struct NewFile<'a> {
    pub id: Uuid,
    pub owner_id: Uuid,
    pub purpose: FilePurpose,
    pub name: &'a str,
    pub content_type: &'a str,
    pub size: i64,
    pub sha256: Option<&'a [u8]>,
    pub upload_key: &'a str,
    /// Of an upload in parts: what the storage calls it, and how large they are.
    pub parts: Option<(&'a str, i64)>,
    pub expires_at: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

/// Stores a file that is to be uploaded.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewFile<'_>) -> QueryResult<File> {
    diesel::insert_into(files::table)
        .values((
            files::id.eq(new.id),
            files::owner_id.eq(new.owner_id),
            files::purpose.eq(new.purpose),
            files::name.eq(new.name),
            files::content_type.eq(new.content_type),
            files::size.eq(new.size),
            files::sha256.eq(new.sha256),
            files::state.eq(FileState::Pending),
            files::upload_key.eq(new.upload_key),
            files::upload_id.eq(new.parts.map(|(upload_id, _)| upload_id)),
            files::part_size.eq(new.parts.map(|(_, size)| size)),
            files::expires_at.eq(new.expires_at),
            files::created_at.eq(new.now),
            files::updated_at.eq(new.now),
        ))
        .returning(File::as_returning())
        .get_result(conn)
        .await
}

/// A user's own file.
///
/// # Errors
/// When the statement fails.
pub async fn find_own(conn: &mut Conn, owner_id: Uuid, id: Uuid) -> QueryResult<Option<File>> {
    let own = files::table.find(id).filter(files::owner_id.eq(owner_id));
    own.select(File::as_select()).first(conn).await.optional()
}

/// Those of these files that are a user's own; nobody deletes them until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold_own(conn: &mut Conn, owner_id: Uuid, ids: &[Uuid]) -> QueryResult<Vec<File>> {
    let own = files::table.filter(files::id.eq_any(ids)).filter(files::owner_id.eq(owner_id));
    own.select(File::as_select()).for_key_share().load(conn).await
}

/// A file, whoever's it is.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<File>> {
    files::table.find(id).select(File::as_select()).first(conn).await.optional()
}

/// What a picture has become.
pub struct Remade<'a> {
    pub key: &'a str,
    pub content_type: &'a str,
    pub size: i64,
    pub sha256: &'a [u8],
    pub width: i32,
    pub height: i32,
}

/// Notes what a picture has become; `false` where it isn't being worked on any more.
///
/// # Errors
/// When the statement fails.
pub async fn finish(
    conn: &mut Conn,
    id: Uuid,
    made: Remade<'_>,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let processed = files::table.find(id).filter(files::state.eq(FileState::Processing));
    let changed = diesel::update(processed)
        .set((
            files::state.eq(FileState::Ready),
            files::key.eq(made.key),
            files::content_type.eq(made.content_type),
            files::size.eq(made.size),
            files::sha256.eq(made.sha256),
            files::width.eq(made.width),
            files::height.eq(made.height),
            files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(changed == 1)
}

/// Notes that nothing can be made of a file, which is given up at `expires_at`; `false` where it isn't being worked on
/// any more.
///
/// # Errors
/// When the statement fails.
pub async fn fail(
    conn: &mut Conn,
    id: Uuid,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let processed = files::table.find(id).filter(files::state.eq(FileState::Processing));
    let changed = diesel::update(processed)
        .set((
            files::state.eq(FileState::Failed),
            files::expires_at.eq(expires_at),
            files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(changed == 1)
}

/// Up to `limit` files that have been worked on since before then.
///
/// # Errors
/// When the statement fails.
pub async fn stuck(conn: &mut Conn, since: DateTime<Utc>, limit: i64) -> QueryResult<Vec<File>> {
    files::table
        .filter(files::state.eq(FileState::Processing))
        .filter(files::completed_at.le(since))
        .order_by(files::id)
        .limit(limit)
        .for_update()
        .skip_locked()
        .select(File::as_select())
        .load(conn)
        .await
}

/// Notes that an upload is complete, and which object it is now; `None` where it isn't pending any more.
///
/// # Errors
/// When the statement fails.
pub async fn complete(
    conn: &mut Conn,
    id: Uuid,
    state: FileState,
    key: &str,
    now: DateTime<Utc>,
) -> QueryResult<Option<File>> {
    let pending = files::table.find(id).filter(files::state.eq(FileState::Pending));
    diesel::update(pending)
        .set((
            files::state.eq(state),
            files::key.eq(key),
            files::expires_at.eq(None::<DateTime<Utc>>),
            files::completed_at.eq(now),
            files::updated_at.eq(now),
        ))
        .returning(File::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// Notes that a file that was put together can be used; `false` where it isn't being worked on any more.
///
/// # Errors
/// When the statement fails.
pub async fn set_ready(conn: &mut Conn, id: Uuid, now: DateTime<Utc>) -> QueryResult<bool> {
    let processed = files::table.find(id).filter(files::state.eq(FileState::Processing));
    let changed = diesel::update(processed)
        .set((files::state.eq(FileState::Ready), files::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(changed == 1)
}

/// Deletes a file.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, id: Uuid) -> QueryResult<Vec<File>> {
    diesel::delete(files::table.find(id)).returning(File::as_returning()).get_results(conn).await
}

/// Which of these files there are.
///
/// # Errors
/// When the statement fails.
pub async fn existing(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    files::table.filter(files::id.eq_any(ids)).select(files::id).load(conn).await
}

/// The keys of the uploads that those of these files wait for that are to be uploaded.
///
/// # Errors
/// When the statement fails.
pub async fn awaited(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<String>> {
    let pending = files::table.filter(files::id.eq_any(ids));
    let pending = pending.filter(files::state.eq(FileState::Pending));
    pending.select(files::upload_key).load(conn).await
}

/// Deletes a user's own file.
///
/// # Errors
/// When the statement fails.
pub async fn delete_own(conn: &mut Conn, owner_id: Uuid, id: Uuid) -> QueryResult<Vec<File>> {
    let own = files::table.find(id).filter(files::owner_id.eq(owner_id));
    diesel::delete(own).returning(File::as_returning()).get_results(conn).await
}

/// Deletes a file whose upload isn't what was announced, unless it is complete.
///
/// # Errors
/// When the statement fails.
pub async fn delete_pending(conn: &mut Conn, id: Uuid) -> QueryResult<Vec<File>> {
    let pending = files::table.find(id).filter(files::state.eq(FileState::Pending));
    diesel::delete(pending).returning(File::as_returning()).get_results(conn).await
}

/// Deletes all files of users.
///
/// # Errors
/// When the statement fails.
pub async fn delete_of(conn: &mut Conn, owner_ids: &[Uuid]) -> QueryResult<Vec<File>> {
    let theirs = files::table.filter(files::owner_id.eq_any(owner_ids));
    diesel::delete(theirs).returning(File::as_returning()).get_results(conn).await
}

/// Deletes up to `limit` files whose uploads were not completed in time, or are of no use.
///
/// # Errors
/// When the statement fails.
pub async fn delete_expired(
    conn: &mut Conn,
    now: DateTime<Utc>,
    limit: i64,
) -> QueryResult<Vec<File>> {
    let expired = files::table
        .filter(files::expires_at.le(now))
        .order_by(files::expires_at)
        .limit(limit)
        .for_update()
        .skip_locked()
        .select(files::id);
    let ids: Vec<Uuid> = expired.load(conn).await?;
    diesel::delete(files::table.filter(files::id.eq_any(ids)))
        .returning(File::as_returning())
        .get_results(conn)
        .await
}
