//! Filters by times that lists are sorted by, where there may be none: what the index of the sort has.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::sql,
    expression::BoxableExpression,
    pg::Pg,
    sql_types::{Bool, Timestamptz},
};

type Condition<T> = Box<dyn BoxableExpression<T, Pg, SqlType = Bool>>;

/// Rows whose time, in this column, is `from` or later.
#[must_use]
pub fn since<T>(column: &str, from: DateTime<Utc>) -> Condition<T> {
    let condition = sql::<Bool>(&format!("coalesce({column}, '-infinity') >= "));
    Box::new(condition.bind::<Timestamptz, _>(from))
}

/// Rows that have a time in this column, which is before `to`.
#[must_use]
pub fn before<T>(column: &str, to: DateTime<Utc>) -> Condition<T> {
    let column = format!("coalesce({column}, '-infinity')");
    let condition = sql::<Bool>(&format!("({column} > '-infinity' AND {column} < "));
    Box::new(condition.bind::<Timestamptz, _>(to).sql(")"))
}
