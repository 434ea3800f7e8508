//! Arrays of texts.

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    pg::{Pg, PgValue},
    sql_types::{Array, Nullable, Text},
};

/// An array of which diesel can't know that it has no NULL in it.
#[derive(FromSqlRow)]
pub struct Texts(Vec<Option<String>>);

impl FromSql<Array<Nullable<Text>>, Pg> for Texts {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<Array<Nullable<Text>>, Pg>::from_sql(value).map(Self)
    }
}

impl From<Texts> for Vec<String> {
    fn from(Texts(texts): Texts) -> Self {
        texts.into_iter().flatten().collect()
    }
}
