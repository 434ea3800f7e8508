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
/// They are looked for from the last number of a post back, in slots of numbers (`search_turns` of the migrations), until
/// there are so many.
const RANKED: i64 = 200;
/// How many words the beginning of one stands for.
const BEGINNINGS: i64 = 20;

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
        // Planned anew: how many words begin so decides how they are found. The slots are put in turn before they are looked
        // at, and not what is found of all of them.
        out.unsafe_to_cache_prepared();
        out.push_sql("WITH wanted AS MATERIALIZED (SELECT search_query(");
        out.push_bind_param::<Text, _>(self.text)?;
        out.push_sql(", others) AS query, others FROM (SELECT ARRAY(SELECT name FROM words WHERE name LIKE beginning_of(");
        out.push_bind_param::<Text, _>(self.text)?;
        out.push_sql(") ORDER BY post_count DESC, name LIMIT ");
        out.push_bind_param::<BigInt, _>(&BEGINNINGS)?;
        out.push_sql(
            ") AS others) AS begun)
             SELECT found_posts.id, found_posts.rank FROM (
                 SELECT latest.id, (ts_rank(latest.search, wanted.query) * 1000000)::bigint AS rank
                 FROM wanted, LATERAL (
                     SELECT of_turn.id, of_turn.search
                     FROM (SELECT * FROM search_turns(",
        );
        out.push_bind_param::<Text, _>(self.text)?;
        out.push_sql(
            ", wanted.others, (SELECT last_value FROM post_numbers))
                           ORDER BY turn OFFSET 0) AS turns, LATERAL (",
        );
        found(&mut out, "turns.slot IS NOT NULL AND post_slots(number) @> ARRAY[turns.slot]")?;
        out.push_sql(" UNION ALL ");
        found(&mut out, "turns.slot IS NULL AND number < turns.before")?;
        out.push_sql(") AS of_turn ORDER BY turns.turn LIMIT ");
        out.push_bind_param::<BigInt, _>(&RANKED)?;
        out.push_sql(") AS latest) AS found_posts WHERE ");
        self.condition.walk_ast(out.reborrow())?;
        out.push_sql(" ORDER BY ");
        self.order.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// What is found in a turn of this kind.
fn found(out: &mut AstPass<'_, '_, Pg>, turn: &'static str) -> QueryResult<()> {
    out.push_sql(
        "(SELECT id, search FROM posts WHERE state = 'published' AND search @@ wanted.query AND ",
    );
    out.push_sql(turn);
    out.push_sql(" ORDER BY number DESC LIMIT ");
    out.push_bind_param::<BigInt, _>(&RANKED)?;
    out.push_sql(")");
    Ok(())
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
