//! What a window of a sorted list says in SQL.

use diesel::{
    expression::{
        AppearsOnTable, Expression, ValidGrouping, expression_types::NotSelectable, is_aggregate,
    },
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{BigInt, Bool, Text, Timestamptz, Uuid},
};

use super::{Column, Key, SortValue};

type Sql<'a, 'b> = AstPass<'a, 'b, Pg>;

/// ORDER BY. NULLs come last going down, first going up: they are the lowest values.
pub struct Order<'a, R: 'static>(&'a [Key<R>]);

/// Only rows behind a place, or all where there is none.
pub struct Behind<'a, R: 'static> {
    keys: &'a [Key<R>],
    place: Option<&'a [SortValue]>,
}

impl<'a, R> Order<'a, R> {
    pub(super) fn new(keys: &'a [Key<R>]) -> Self {
        Self(keys)
    }
}

impl<R> QueryFragment<Pg> for Order<'_, R> {
    fn walk_ast<'b>(&'b self, mut out: Sql<'_, 'b>) -> QueryResult<()> {
        // There are too many sorts by several columns to keep a prepared statement of each.
        if self.0.len() > 2 {
            out.unsafe_to_cache_prepared();
        }
        for (index, key) in self.0.iter().enumerate() {
            out.push_sql(if index == 0 { "" } else { ", " });
            key.column.walk_ast(out.reborrow())?;
            out.push_sql(if key.descending { " DESC" } else { " ASC" });
        }
        Ok(())
    }
}

impl<'a, R> Behind<'a, R> {
    pub(super) fn new(keys: &'a [Key<R>], place: Option<&'a [SortValue]>) -> Self {
        Self { keys, place }
    }
}

impl<R> QueryFragment<Pg> for Behind<'_, R> {
    fn walk_ast<'b>(&'b self, mut out: Sql<'_, 'b>) -> QueryResult<()> {
        let (Some(place), Some(first)) = (self.place, self.keys.first()) else {
            out.push_sql("TRUE");
            return Ok(());
        };
        out.push_sql("(");
        if self.keys.iter().all(|key| key.descending == first.descending) {
            self.compare_rows(place, first.descending, &mut out)?;
        } else {
            self.compare_in_turn(place, &mut out)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

impl<R> Behind<'_, R> {
    /// `(a, b) < (x, y)`: of that, an index takes all columns at once, however many rows have the
    /// same `a`.
    fn compare_rows<'b>(
        &'b self,
        place: &'b [SortValue],
        descending: bool,
        out: &mut Sql<'_, 'b>,
    ) -> QueryResult<()> {
        for (index, key) in self.keys.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", " });
            key.column.walk_ast(out.reborrow())?;
        }
        out.push_sql(if descending { ") < (" } else { ") > (" });
        for (index, (key, value)) in self.keys.iter().zip(place).enumerate() {
            out.push_sql(if index == 0 { "" } else { ", " });
            key.value(value, out)?;
        }
        out.push_sql(")");
        Ok(())
    }

    /// `a <= x AND (a < x OR a = x AND (b > y OR …))`: the first part says nothing new, but is
    /// what an index can begin at.
    fn compare_in_turn<'b>(
        &'b self,
        place: &'b [SortValue],
        out: &mut Sql<'_, 'b>,
    ) -> QueryResult<()> {
        let mut steps = self.keys.iter().zip(place).peekable();
        if let Some((key, value)) = steps.peek() {
            key.compare(if key.descending { " <= " } else { " >= " }, value, out)?;
            out.push_sql(" AND ");
        }
        let mut open = 0;
        while let Some((key, value)) = steps.next() {
            out.push_sql("(");
            open += 1;
            key.compare(if key.descending { " < " } else { " > " }, value, out)?;
            if steps.peek().is_some() {
                out.push_sql(" OR ");
                key.compare(" = ", value, out)?;
                out.push_sql(" AND ");
            }
        }
        out.push_sql(&")".repeat(open));
        Ok(())
    }
}

impl<R> Key<R> {
    fn compare<'b>(
        &'b self,
        operator: &str,
        value: &'b SortValue,
        out: &mut Sql<'_, 'b>,
    ) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(operator);
        self.value(value, out)
    }

    fn value<'b>(&'b self, value: &'b SortValue, out: &mut Sql<'_, 'b>) -> QueryResult<()> {
        match value {
            SortValue::Null => out.push_sql(self.column.lowest.unwrap_or("NULL")),
            SortValue::Number(number) => out.push_bind_param::<BigInt, _>(number)?,
            SortValue::Text(text) => out.push_bind_param::<Text, _>(text)?,
            SortValue::Time(time) => out.push_bind_param::<Timestamptz, _>(time)?,
            SortValue::Id(id) => out.push_bind_param::<Uuid, _>(id)?,
        }
        Ok(())
    }
}

/// The column, in which the lowest value stands for NULL.
impl<R> QueryFragment<Pg> for Column<R> {
    fn walk_ast<'b>(&'b self, mut out: Sql<'_, 'b>) -> QueryResult<()> {
        let Some(lowest) = self.lowest else { return self.sql.walk_ast(out) };
        out.push_sql("coalesce(");
        self.sql.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        out.push_sql(lowest);
        out.push_sql(")");
        Ok(())
    }
}

/// What diesel must know to take a fragment of ours.
macro_rules! is_expression {
    ($fragment:ident, $type:ty) => {
        impl<R> Expression for $fragment<'_, R> {
            type SqlType = $type;
        }

        impl<R, QS: ?Sized> AppearsOnTable<QS> for $fragment<'_, R> {}

        impl<R, G> ValidGrouping<G> for $fragment<'_, R> {
            type IsAggregate = is_aggregate::Never;
        }

        impl<R> QueryId for $fragment<'_, R> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }
    };
}
is_expression!(Order, NotSelectable);
is_expression!(Behind, Bool);
