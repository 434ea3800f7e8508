//! `doomed_objects`: what is to be deleted in the storage. Which nobody could tell any more, were it not written down in
//! the transaction that deletes the row.

use chrono::{DateTime, Utc};
use diesel::{dsl::case_when, pg::Pg, prelude::*, upsert::excluded};
use diesel_async::RunQueryDsl;

use super::{Conn, schema::doomed_objects};

/// Objects whose keys begin so are to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = doomed_objects, check_for_backend(Pg))]
pub struct Doomed {
    pub prefix: String,
    /// Not before then.
    pub due_at: DateTime<Utc>,
    /// An upload in parts to an object of this key, which is to be ended.
    pub upload_id: Option<String>,
}

impl Doomed {
    /// Objects whose keys begin so.
    #[must_use]
    pub fn objects(prefix: String, due_at: DateTime<Utc>) -> Self {
        Self { prefix, due_at, upload_id: None }
    }
}

/// Notes what is to be deleted; of two times the later one counts.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, doomed: &[Doomed], now: DateTime<Utc>) -> QueryResult<()> {
    /// PostgreSQL takes 65,535 values in a statement.
    const AT_ONCE: usize = 5000;
    let times = (doomed_objects::created_at.eq(now), doomed_objects::updated_at.eq(now));
    let upload_id = excluded(doomed_objects::upload_id);
    let upload_id =
        case_when(upload_id.is_not_null(), upload_id).otherwise(doomed_objects::upload_id);
    let (present, new) = (doomed_objects::due_at, excluded(doomed_objects::due_at));
    for some in doomed.chunks(AT_ONCE) {
        let rows: Vec<_> = some.iter().map(|one| (one, times)).collect();
        diesel::insert_into(doomed_objects::table)
            .values(rows)
            .on_conflict(doomed_objects::prefix)
            .do_update()
            .set((
                doomed_objects::due_at.eq(case_when(new.gt(present), new).otherwise(present)),
                doomed_objects::upload_id.eq(upload_id),
                doomed_objects::updated_at.eq(now),
            ))
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// What is due, the longest first.
///
/// # Errors
/// When the statement fails.
pub async fn due(conn: &mut Conn, now: DateTime<Utc>, limit: i64) -> QueryResult<Vec<Doomed>> {
    doomed_objects::table
        .filter(doomed_objects::due_at.le(now))
        .order_by((doomed_objects::due_at, doomed_objects::prefix))
        .limit(limit)
        .select(Doomed::as_select())
        .load(conn)
        .await
}

/// Notes that something is deleted, unless it is to be deleted again later.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, doomed: &Doomed) -> QueryResult<()> {
    let same = doomed_objects::table.find(&doomed.prefix);
    diesel::delete(same.filter(doomed_objects::due_at.eq(doomed.due_at))).execute(conn).await?;
    Ok(())
}
