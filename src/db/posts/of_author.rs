//! An author's own posts, in whatever state.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::PostState;
use crate::db::{
    Conn,
    keyset::{Window, sortable},
    schema::posts,
    texts::Texts,
};

/// A post as its author's list shows it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = posts, check_for_backend(Pg))]
pub struct AuthorPost {
    pub id: Uuid,
    pub slug: String,
    pub title: String,
    pub excerpt: String,
    #[diesel(deserialize_as = Texts)]
    pub tags: Vec<String>,
    /// The file that is shown with it.
    pub cover_id: Option<Uuid>,
    pub state: PostState,
    pub published_at: Option<DateTime<Utc>>,
    pub hidden_reason: Option<String>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

sortable! {
    /// What an author's posts can be sorted by.
    AuthorSort: AuthorPost, posts, "-created_at", [created_at]
}

/// Whose posts to list.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct AuthorFilter {
    pub author_id: Uuid,
    /// `None`: all but the deleted ones.
    pub state: Option<PostState>,
}

/// The query of [`of_author`].
pub fn written_by(filter: AuthorFilter, window: &Window<AuthorSort>) -> posts::BoxedQuery<'_, Pg> {
    let query = posts::table.filter(posts::author_id.eq(filter.author_id)).into_boxed();
    match filter.state {
        Some(state) => query.filter(posts::state.eq(state)),
        None => query.filter(posts::state.ne(PostState::Deleted)),
    }
    .filter(window.condition())
    .order_by(window.order())
    .limit(window.limit)
    .offset(window.offset)
}

/// The posts in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn of_author(
    conn: &mut Conn,
    filter: AuthorFilter,
    window: &Window<AuthorSort>,
) -> QueryResult<Vec<AuthorPost>> {
    written_by(filter, window).select(AuthorPost::as_select()).load(conn).await
}
