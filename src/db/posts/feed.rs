//! Posts for everybody, the latest first.

use chrono::{DateTime, Utc};
use diesel::{dsl::sql, pg::Pg, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::author_name;
use crate::db::{
    Conn,
    keyset::{Window, sortable},
    schema::posts,
    search::planned_anew,
    texts::Texts,
};

/// A published post, as lists show it.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, Deserialize)]
#[diesel(table_name = posts, check_for_backend(Pg))]
pub struct FeedPost {
    pub id: Uuid,
    pub author_id: Uuid,
    #[diesel(select_expression = author_name())]
    pub author_name: Option<String>,
    pub slug: String,
    pub title: String,
    pub excerpt: String,
    #[diesel(deserialize_as = Texts)]
    pub tags: Vec<String>,
    /// The file that is shown with it.
    pub cover_id: Option<Uuid>,
    #[diesel(select_expression = posts::published_at.assume_not_null())]
    pub published_at: DateTime<Utc>,
    /// As of the last minute: see `post_counts`.
    pub like_count: i64,
    pub comment_count: i64,
}

sortable! {
    /// What the feed can be sorted by.
    FeedSort: FeedPost, posts, "-published_at", [published_at]
}

/// Which published posts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FeedFilter {
    pub tag: Option<String>,
    pub author_id: Option<Uuid>,
}

/// The query of [`feed`].
pub fn in_feed<'a>(
    filter: &'a FeedFilter,
    window: &'a Window<FeedSort>,
) -> posts::BoxedQuery<'a, Pg> {
    // As the indexes have it: of a value that is bound PostgreSQL doesn't know which.
    let mut query = posts::table.filter(sql::<Bool>("posts.state = 'published'")).into_boxed();
    if let Some(tag) = &filter.tag {
        // Of a tag that many have, the way along the feed is the shorter one, of others the index of tags.
        query = query.filter(planned_anew()).filter(posts::tags.contains(vec![tag]));
    }
    if let Some(author_id) = filter.author_id {
        query = query.filter(posts::author_id.eq(author_id));
    }
    query
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The posts in a window of the feed.
///
/// # Errors
/// When the statement fails.
pub async fn feed(
    conn: &mut Conn,
    filter: &FeedFilter,
    window: &Window<FeedSort>,
) -> QueryResult<Vec<FeedPost>> {
    in_feed(filter, window).select(FeedPost::as_select()).load(conn).await
}
