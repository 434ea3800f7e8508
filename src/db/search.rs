//! Finding rows by a part of their texts, in any case. An index over the parts of up to three characters of each text
//! (`search_grams` of the migrations) finds those that may contain it; they are compared then.

use diesel::{
    expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate},
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{Bool, Text},
};

/// Has a query planned each time that it runs: for what it looks for now, and not for what callers look for on average.
pub fn planned_anew() -> PlannedAnew {
    PlannedAnew
}

/// See [`planned_anew`].
pub struct PlannedAnew;

impl QueryFragment<Pg> for PlannedAnew {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql("TRUE");
        Ok(())
    }
}

/// How many rows have a text that is searched for. PostgreSQL's own guesses are wrong by far, for parts of one word
/// aren't independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// At most [`RARE`]: they are found by the index, and sorted.
    Rare,
    /// Enough for a page to be filled by going through all rows in their order.
    Frequent,
}

/// How many rows are worth sorting.
pub const RARE: i64 = 1000;

impl Frequency {
    /// Of a list that has so many rows.
    #[must_use]
    pub fn of(rows: i64) -> Self {
        if rows > RARE { Self::Frequent } else { Self::Rare }
    }
}

/// Only rows whose document contains the text.
pub struct Matching<'a> {
    /// The expression that the index is made of.
    document: &'static str,
    text: &'a str,
    frequency: Frequency,
}

impl<'a> Matching<'a> {
    /// `text` has a character at least, and nothing in it is special.
    pub fn new(document: &'static str, text: &'a str, frequency: Frequency) -> Self {
        Self { document, text, frequency }
    }
}

impl QueryFragment<Pg> for Matching<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        if self.frequency == Frequency::Rare {
            out.push_sql("search_grams(");
            out.push_sql(self.document);
            out.push_sql(") @> search_terms(");
            out.push_bind_param::<Text, _>(self.text)?;
            out.push_sql(") AND ");
        }
        // Of this it guesses nothing: LIKE would count twice for how few they are.
        out.push_sql("strpos(lower(");
        out.push_sql(self.document);
        out.push_sql("), lower(");
        out.push_bind_param::<Text, _>(self.text)?;
        out.push_sql(")) > 0");
        Ok(())
    }
}

/// What diesel must know to take a condition of ours.
macro_rules! is_condition {
    ($condition:ty) => {
        impl Expression for $condition {
            type SqlType = Bool;
        }

        impl<QS: ?Sized> AppearsOnTable<QS> for $condition {}

        impl<G> ValidGrouping<G> for $condition {
            type IsAggregate = is_aggregate::Never;
        }

        impl QueryId for $condition {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }
    };
}
is_condition!(PlannedAnew);
is_condition!(Matching<'_>);
