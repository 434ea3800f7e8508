//! Published posts by their words, the ones that fit best first.

use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::FeedPost;
use crate::db::{
    Conn,
    keyset::{Behind, Order, Window, sortable},
    schema::posts,
};

/// How many of the latest posts that have all words are ranked: of a frequent word there are too many to rank them all.
const RANKED: i64 = 200;

diesel::table! {
    /// What the inner query finds.
    found_posts (id) {
        id -> Uuid,
        rank -> BigInt,
    }
}

/// How well a post fits.
#[derive(Debug, Clone, Queryable)]
pub struct FoundPost {
    pub id: Uuid,
    pub rank: i64,
}

sortable! {
    /// What is found is sorted by how well it fits.
    FoundSort: FoundPost, found_posts, "-rank", [rank]
}

/// The query of [`search`].
pub struct Search<'a> {
    text: &'a str,
    condition: Behind<'a, FoundPost>,
    order: Order<'a, FoundPost>,
    limit: i64,
}

impl<'a> Search<'a> {
    /// For words, the last of which may be the beginning of one.
    #[must_use]
    pub fn new(text: &'a str, window: &'a Window<FoundSort>) -> Self {
        Self { text, condition: window.condition(), order: window.order(), limit: window.limit }
    }
}

impl QueryFragment<Pg> for Search<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Planned anew: for these words, of which there may be few or many.
        out.unsafe_to_cache_prepared();
        out.push_sql(
            "SELECT found_posts.id, found_posts.rank FROM (
                 SELECT id, (ts_rank(search, search_prefixes(",
        );
        out.push_bind_param::<Text, _>(self.text)?;
        out.push_sql(
            ")) * 1000000)::bigint AS rank FROM (
                 SELECT id, search FROM posts
                 WHERE state = 'published' AND search @@ search_prefixes(",
        );
        out.push_bind_param::<Text, _>(self.text)?;
        out.push_sql(") ORDER BY published_at DESC, id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&RANKED)?;
        out.push_sql(") AS latest) AS found_posts WHERE ");
        self.condition.walk_ast(out.reborrow())?;
        out.push_sql(" ORDER BY ");
        self.order.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl QueryId for Search<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Search<'_> {
    type SqlType = (SqlUuid, BigInt);
}

/// Which posts are in a window of what is found.
///
/// # Errors
/// When the statement fails.
pub async fn search(
    conn: &mut Conn,
    text: &str,
    window: &Window<FoundSort>,
) -> QueryResult<Vec<FoundPost>> {
    Search::new(text, window).load(conn).await
}

/// These posts, as far as they are published, in this order.
///
/// # Errors
/// When the statement fails.
pub async fn in_order(conn: &mut Conn, found: &[FoundPost]) -> QueryResult<Vec<FeedPost>> {
    let ids: Vec<Uuid> = found.iter().map(|post| post.id).collect();
    let published = posts::table.filter(posts::state.eq("published"));
    let mut posts: Vec<FeedPost> =
        published.filter(posts::id.eq_any(&ids)).select(FeedPost::as_select()).load(conn).await?;
    posts.sort_by_key(|post| ids.iter().position(|id| *id == post.id));
    Ok(posts)
}
