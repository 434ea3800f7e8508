//! Sorted lists: one declaration of the columns that a list can be sorted by, from which come the
//! reading of `sort`, ORDER BY, and the condition that goes on behind a row (keyset pagination).
//! With it page 10,000 costs what page 1 costs, and rows that come or go repeat no other.

mod sql;
mod times;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, query_builder::QueryFragment};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use sql::{Behind, Order};
pub use times::{before, since};

/// What one row has in a sorted column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortValue {
    /// Sorted as the lowest value.
    Null,
    Number(i64),
    Text(String),
    Time(DateTime<Utc>),
    Id(Uuid),
}

/// A type of field that a list can be sorted by.
pub trait SortField {
    /// The lowest value of the type, in SQL. An index of a column that may hold NULL has this in its place.
    const LOWEST: &'static str;
    /// Whether the column may hold NULL.
    const IS_NULLABLE: bool = false;

    /// What a cursor keeps of it.
    fn sort_value(&self) -> SortValue;
}

macro_rules! sort_fields {
    ($($type:ty => $variant:ident, $lowest:literal;)+) => {
        $(impl SortField for $type {
            const LOWEST: &'static str = $lowest;

            fn sort_value(&self) -> SortValue {
                SortValue::$variant(self.to_owned().into())
            }
        })+
    };
}
sort_fields! {
    i32 => Number, "'-2147483648'";
    i64 => Number, "'-9223372036854775808'";
    String => Text, "''";
    DateTime<Utc> => Time, "'-infinity'";
    Uuid => Id, "'00000000-0000-0000-0000-000000000000'";
}

impl<T: SortField> SortField for Option<T> {
    const LOWEST: &'static str = T::LOWEST;
    const IS_NULLABLE: bool = true;

    fn sort_value(&self) -> SortValue {
        self.as_ref().map_or(SortValue::Null, T::sort_value)
    }
}

/// A column that a list can be sorted by, and its field in the row.
pub struct Column<R> {
    /// What callers call it.
    pub name: &'static str,
    sql: &'static (dyn QueryFragment<Pg> + Send + Sync),
    /// What stands for NULL, where there may be one.
    lowest: Option<&'static str>,
    value: fn(&R) -> SortValue,
}

impl<R> Column<R> {
    /// The type of `field` tells whether there may be NULL.
    #[must_use]
    pub const fn new<T: SortField>(
        name: &'static str,
        sql: &'static (dyn QueryFragment<Pg> + Send + Sync),
        _field: fn(&R) -> &T,
        value: fn(&R) -> SortValue,
    ) -> Self {
        let lowest = if T::IS_NULLABLE { Some(T::LOWEST) } else { None };
        Self { name, sql, lowest, value }
    }
}

/// The columns that a list can be sorted by; declared by `sortable!`.
pub trait Sortable: Send + Sync + 'static {
    type Row: 'static;
    /// Tells the cursors of one list from those of another.
    const LIST: &'static str;
    const COLUMNS: &'static [Column<Self::Row>];
    /// Unique, so that it breaks ties.
    const ID: &'static Column<Self::Row>;
    /// How the list is sorted unless callers say how.
    const DEFAULT: &'static str;
}

/// Declares the columns that a list of rows can be sorted by. Callers, row and table have the same
/// names for them, unless it is said which column callers mean: `created_at = id`.
macro_rules! sortable {
    (
        $(#[$meta:meta])* $name:ident: $row:ty, $table:ident, $default:literal,
        [$($column:ident $(= $meant:ident)?),+ $(,)?]
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl $crate::db::keyset::Sortable for $name {
            type Row = $row;
            const LIST: &'static str = stringify!($name);
            const COLUMNS: &'static [$crate::db::keyset::Column<$row>] =
                &[$($crate::db::keyset::sortable!(@column $row, $table, $column $(= $meant)?)),+];
            const ID: &'static $crate::db::keyset::Column<$row> =
                &$crate::db::keyset::sortable!(@column $row, $table, id);
            const DEFAULT: &'static str = $default;
        }
    };
    (@column $row:ty, $table:ident, $column:ident) => {
        $crate::db::keyset::sortable!(@column $row, $table, $column = $column)
    };
    (@column $row:ty, $table:ident, $name:ident = $column:ident) => {
        $crate::db::keyset::Column::new(
            stringify!($name),
            &$table::$column,
            |row: &$row| &row.$column,
            |row: &$row| $crate::db::keyset::SortField::sort_value(&row.$column),
        )
    };
}
pub(crate) use sortable;

/// How a list is sorted: columns in turn, the id last.
pub struct Sort<S: Sortable>(Vec<Key<S::Row>>);

/// One column of a sort.
struct Key<R: 'static> {
    column: &'static Column<R>,
    descending: bool,
}

impl<S: Sortable> Clone for Sort<S> {
    fn clone(&self) -> Self {
        let keys = self.0.iter();
        Self(keys.map(|key| Key { column: key.column, descending: key.descending }).collect())
    }
}

impl<S: Sortable> Sort<S> {
    /// As the list is sorted unless callers say how.
    ///
    /// # Panics
    /// When that can't be read: it is part of the program.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test reads all of them")]
    pub fn by_default() -> Self {
        Self::parse(S::DEFAULT).expect("a sort")
    }

    /// Reads `-created_at,email`; `None` unless each part is a column of the list, named once.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut keys: Vec<Key<S::Row>> = Vec::new();
        for part in text.split(',') {
            let (name, descending) =
                part.strip_prefix('-').map_or((part, false), |name| (name, true));
            let column = S::COLUMNS.iter().find(|column| column.name == name)?;
            if keys.iter().any(|key| key.column.name == name) {
                return None;
            }
            keys.push(Key { column, descending });
        }
        // Down or up with the first column, so that one index has both.
        let descending = keys.first()?.descending;
        keys.push(Key { column: S::ID, descending });
        Some(Self(keys))
    }

    /// What `parse` accepts, except for the rule that no column comes twice.
    #[must_use]
    pub fn pattern() -> String {
        let names: Vec<&str> = S::COLUMNS.iter().map(|column| column.name).collect();
        let (one, more) = (names.join("|"), names.len().saturating_sub(1));
        format!("^-?({one})(,-?({one})){{0,{more}}}$")
    }

    /// Where a row stands in the list.
    pub fn place(&self, row: &S::Row) -> Vec<SortValue> {
        self.0.iter().map(|key| (key.column.value)(row)).collect()
    }
}

/// As in `-created_at,-id`.
impl<S: Sortable> std::fmt::Display for Sort<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let sign = if key.descending { "-" } else { "" };
            write!(f, "{comma}{sign}{}", key.column.name)?;
        }
        Ok(())
    }
}

/// Which rows of a sorted list to read.
pub struct Window<S: Sortable> {
    pub sort: Sort<S>,
    /// The place of the row that they come behind.
    pub behind: Option<Vec<SortValue>>,
    pub offset: i64,
    pub limit: i64,
}

impl<S: Sortable> Window<S> {
    /// For `filter`: only rows behind that place.
    pub fn condition(&self) -> Behind<'_, S::Row> {
        Behind::new(&self.sort.0, self.behind.as_deref())
    }

    /// For `order_by`.
    pub fn order(&self) -> Order<'_, S::Row> {
        Order::new(&self.sort.0)
    }
}
