//! Posts as staff search, narrow and sort them.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{self, exists, not, sql},
    pg::Pg,
    prelude::*,
    sql_types::{Bool, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{PostState, author_name};
use crate::db::{
    Conn,
    count::{self, Total},
    keyset::{self, Window, sortable},
    post_reports::ReportState,
    schema::{post_reports, posts},
    search::planned_anew,
    texts::Texts,
};

/// How many open reports there are of a post.
#[dsl::auto_type]
fn open_reports() -> _ {
    let of_post = post_reports::post_id.eq(posts::id);
    let are_open = post_reports::state.eq("open");
    post_reports::table.filter(of_post).filter(are_open).count().single_value().assume_not_null()
}

/// A post as the list of staff shows it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = posts, check_for_backend(Pg))]
pub struct ListedPost {
    pub id: Uuid,
    pub author_id: Uuid,
    #[diesel(select_expression = author_name())]
    pub author_name: Option<String>,
    pub slug: String,
    pub title: String,
    pub excerpt: String,
    #[diesel(deserialize_as = Texts)]
    pub tags: Vec<String>,
    pub state: PostState,
    #[diesel(select_expression = open_reports())]
    pub open_reports: i64,
    pub published_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

sortable! {
    /// What a list of posts can be sorted by.
    PostSort: ListedPost, posts, "-created_at", [created_at, updated_at, published_at]
}

/// Which posts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PostFilter {
    /// Words of the title and the text, the last of which may be the beginning of one; or the identifier.
    pub search: Option<String>,
    pub state: Option<PostState>,
    pub author_id: Option<Uuid>,
    pub tag: Option<String>,
    /// Whether there are open reports.
    pub is_reported: Option<bool>,
    pub created_from: Option<DateTime<Utc>>,
    /// From then on no more.
    pub created_to: Option<DateTime<Utc>>,
    pub published_from: Option<DateTime<Utc>>,
    /// From then on no more.
    pub published_to: Option<DateTime<Utc>>,
}

fn matching(filter: &PostFilter) -> posts::BoxedQuery<'_, Pg> {
    let mut query = posts::table.into_boxed();
    if *filter != PostFilter::default() {
        query = query.filter(planned_anew());
    }
    if let Some(text) = &filter.search {
        query = match text.parse::<Uuid>() {
            Ok(id) => query.filter(posts::id.eq(id)),
            Err(_) => query.filter(
                sql::<Bool>("posts.search @@ search_prefixes(").bind::<Text, _>(text).sql(")"),
            ),
        };
    }
    if let Some(state) = filter.state {
        query = query.filter(posts::state.eq(state));
    }
    if let Some(author_id) = filter.author_id {
        query = query.filter(posts::author_id.eq(author_id));
    }
    if let Some(tag) = &filter.tag {
        query = query.filter(posts::tags.contains(vec![tag]));
    }
    if let Some(is_reported) = filter.is_reported {
        let open = post_reports::table.filter(post_reports::state.eq(ReportState::Open));
        let reported = exists(open.filter(post_reports::post_id.eq(posts::id)));
        query = if is_reported { query.filter(reported) } else { query.filter(not(reported)) };
    }
    if let Some(from) = filter.created_from {
        query = query.filter(posts::created_at.ge(from));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(posts::created_at.lt(to));
    }
    if let Some(from) = filter.published_from {
        query = query.filter(keyset::since("posts.published_at", from));
    }
    if let Some(to) = filter.published_to {
        query = query.filter(keyset::before("posts.published_at", to));
    }
    query
}

/// The query of [`count`].
#[must_use]
pub fn counted(filter: &PostFilter) -> posts::BoxedQuery<'_, Pg, SqlUuid> {
    matching(filter).select(posts::id).limit(count::LIMIT)
}

/// How many posts match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &PostFilter) -> QueryResult<Total> {
    count::count(conn, counted(filter)).await
}

/// The query of [`list`].
pub fn listed<'a>(
    filter: &'a PostFilter,
    window: &'a Window<PostSort>,
) -> posts::BoxedQuery<'a, Pg> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The posts in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &PostFilter,
    window: &Window<PostSort>,
) -> QueryResult<Vec<ListedPost>> {
    listed(filter, window).select(ListedPost::as_select()).load(conn).await
}

/// Deletes a post with all that hangs on it.
///
/// # Errors
/// When the statement fails.
pub async fn erase(conn: &mut Conn, id: Uuid) -> QueryResult<()> {
    diesel::delete(posts::table.find(id)).execute(conn).await?;
    Ok(())
}
