//! `tags`: the words that published posts are found by.

use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;

use super::{Conn, schema::tags, search::planned_anew};

/// A tag of published posts.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = tags, check_for_backend(Pg))]
pub struct Tag {
    pub name: String,
    pub post_count: i64,
}

/// The tags that begin so, those of most posts first.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut Conn, prefix: &str, limit: i64) -> QueryResult<Vec<Tag>> {
    tags::table
        .filter(planned_anew())
        .filter(tags::post_count.gt(0))
        // Nothing in the name of a tag is special to LIKE.
        .filter(tags::name.like(format!("{prefix}%")))
        .order_by((tags::post_count.desc(), tags::name.asc()))
        .limit(limit)
        .select(Tag::as_select())
        .load(conn)
        .await
}
