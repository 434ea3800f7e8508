//! How many rows a list has: counted up to [`MOST`], for to count millions takes longer than to read a page of them.

use diesel::{
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::BigInt,
};
use diesel_async::RunQueryDsl;

use super::Conn;

/// How many rows are counted one by one.
pub const MOST: i64 = 2000;

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// At most [`MOST`].
    pub rows: i64,
    /// Whether there are more than that.
    pub is_capped: bool,
}

impl Total {
    fn of(counted: i64) -> Self {
        Self { rows: counted.min(MOST), is_capped: counted > MOST }
    }
}

/// Counts the rows of a query, which is to be limited to [`LIMIT`].
///
/// # Errors
/// When the statement fails.
pub async fn count<Q>(conn: &mut Conn, limited: Q) -> QueryResult<Total>
where
    Q: QueryFragment<Pg> + QueryId + Send,
{
    Ok(Total::of(Counted(limited).get_result(conn).await?))
}

/// One row more tells whether there are more.
pub const LIMIT: i64 = MOST + 1;

#[derive(QueryId)]
struct Counted<Q>(Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Counted<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(") AS counted");
        Ok(())
    }
}

impl<Q> Query for Counted<Q> {
    type SqlType = BigInt;
}
