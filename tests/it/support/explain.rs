//! How PostgreSQL does a query.

use diesel::{
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::Text,
};

/// A query, explained.
pub struct Explain<Q>(pub Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) ");
        self.0.walk_ast(out)
    }
}

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Explain<Q> {
    type SqlType = Text;
}

/// The number in a line of a plan that stands behind this text for the last time.
fn number(line: &str, before: &str) -> Option<f64> {
    let (_, rest) = line.rsplit_once(before)?;
    rest.split([' ', ')']).next()?.parse().ok()
}

/// How many rows a line of a plan has given.
fn given(line: &str) -> f64 {
    number(line, "rows=").expect("rows")
}

/// How many rows a line of a plan has read: those that it has given, and those that it has thrown away.
pub fn read(lines: &[String], at: usize) -> f64 {
    let below = lines[at + 1..].iter().take_while(|line| !line.contains("->"));
    let thrown = below.filter_map(|line| number(line, "Rows Removed by Filter: "));
    // Both are means over the times that it ran.
    (given(&lines[at]) + thrown.sum::<f64>()) * number(&lines[at], "loops=").unwrap_or_default()
}

/// No sequential scan of more than 10,000 rows, and no sort of more than 1,000.
pub fn assert_cheap(lines: &[String], what: &str) {
    for (at, line) in lines.iter().enumerate() {
        if line.contains("Seq Scan on ") {
            assert!(read(lines, at) <= 10_000.0, "{what}: {lines:#?}");
        }
        // Of a sort in parts each part counts, which is of equal values.
        if line.trim_start_matches(['-', '>', ' ']).starts_with("Sort ") && line.contains("cost") {
            let sorted = lines[at + 1..].iter().find(|line| line.contains("->"));
            assert!(given(sorted.expect("what is sorted")) <= 1000.0, "{what}: {lines:#?}");
        }
    }
}
