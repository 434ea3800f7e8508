//! Lists of files: a user's own, and those of all users.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*, sql_types::Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{File, FilePurpose, FileState};
use crate::db::{
    Conn,
    count::{self as counting, Total},
    keyset::{Window, sortable},
    schema::files,
    search::planned_anew,
};

sortable! {
    /// What a list of files can be sorted by.
    FileSort: File, files, "-created_at", [created_at]
}

/// Which of a user's own files to list.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OwnFileFilter {
    pub owner_id: Uuid,
    pub purpose: Option<FilePurpose>,
    pub state: Option<FileState>,
}

/// The query of [`list_own`].
pub fn listed_own(filter: OwnFileFilter, window: &Window<FileSort>) -> files::BoxedQuery<'_, Pg> {
    let mut query = files::table.filter(files::owner_id.eq(filter.owner_id)).into_boxed();
    if let Some(purpose) = filter.purpose {
        query = query.filter(files::purpose.eq(purpose));
    }
    if let Some(state) = filter.state {
        query = query.filter(files::state.eq(state));
    }
    query
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The files in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list_own(
    conn: &mut Conn,
    filter: OwnFileFilter,
    window: &Window<FileSort>,
) -> QueryResult<Vec<File>> {
    listed_own(filter, window).select(File::as_select()).load(conn).await
}

sortable! {
    /// What staff can sort files by.
    ManagedFileSort: File, files, "-created_at", [created_at, size]
}

/// Which files of all users to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileFilter {
    pub owner_id: Option<Uuid>,
    pub content_type: Option<&'static str>,
    pub purpose: Option<FilePurpose>,
    pub state: Option<FileState>,
    /// In bytes.
    pub size_from: Option<i64>,
    /// In bytes.
    pub size_to: Option<i64>,
    pub created_from: Option<DateTime<Utc>>,
    pub created_to: Option<DateTime<Utc>>,
}

fn matching(filter: &FileFilter) -> files::BoxedQuery<'static, Pg> {
    let mut query = files::table.into_boxed();
    if *filter != FileFilter::default() {
        query = query.filter(planned_anew());
    }
    if let Some(owner_id) = filter.owner_id {
        query = query.filter(files::owner_id.eq(owner_id));
    }
    if let Some(content_type) = filter.content_type {
        query = query.filter(files::content_type.eq(content_type));
    }
    if let Some(purpose) = filter.purpose {
        query = query.filter(files::purpose.eq(purpose));
    }
    if let Some(state) = filter.state {
        query = query.filter(files::state.eq(state));
    }
    if let Some(from) = filter.size_from {
        query = query.filter(files::size.ge(from));
    }
    if let Some(to) = filter.size_to {
        query = query.filter(files::size.le(to));
    }
    if let Some(from) = filter.created_from {
        query = query.filter(files::created_at.ge(from));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(files::created_at.lt(to));
    }
    query
}

/// The query of [`list`].
pub fn listed<'a>(
    filter: &FileFilter,
    window: &'a Window<ManagedFileSort>,
) -> files::BoxedQuery<'a, Pg> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The files in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &FileFilter,
    window: &Window<ManagedFileSort>,
) -> QueryResult<Vec<File>> {
    listed(filter, window).select(File::as_select()).load(conn).await
}

/// The query of [`count`].
#[must_use]
pub fn counted(filter: &FileFilter) -> files::BoxedQuery<'static, Pg, SqlUuid> {
    matching(filter).select(files::id).limit(counting::LIMIT)
}

/// How many files match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &FileFilter) -> QueryResult<Total> {
    counting::count(conn, counted(filter)).await
}
