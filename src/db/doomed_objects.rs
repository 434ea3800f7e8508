//! `doomed_objects`: what is to be deleted in the storage. Which nobody could tell any more, were it not written down in
//! the transaction that deletes the row.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{case_when, sql},
    pg::Pg,
    prelude::*,
    sql_types::Timestamptz,
    upsert::excluded,
};
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

/// Takes what is due, the longest first: it is due again later, and later each time, unless it is deleted by then.
///
/// # Errors
/// When the statement fails.
pub async fn take(conn: &mut Conn, now: DateTime<Utc>, limit: i64) -> QueryResult<Vec<Doomed>> {
    let due = doomed_objects::table
        .filter(doomed_objects::due_at.le(now))
        .order_by((doomed_objects::due_at, doomed_objects::prefix))
        .limit(limit)
        .for_update()
        .skip_locked()
        .select(doomed_objects::prefix);
    let due: Vec<String> = due.load(conn).await?;
    let later = sql::<Timestamptz>("").bind::<Timestamptz, _>(now).sql(
        " + least(greatest(2 * (due_at - updated_at), interval '5 seconds'), interval '1 hour')",
    );
    diesel::update(doomed_objects::table)
        .filter(doomed_objects::prefix.eq_any(due))
        .filter(doomed_objects::due_at.le(now))
        .set((doomed_objects::due_at.eq(later), doomed_objects::updated_at.eq(now)))
        .returning(Doomed::as_returning())
        .get_results(conn)
        .await
}

/// Notes that something is deleted, or that it isn't to be; `false` where its time is another one by now.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, doomed: &Doomed) -> QueryResult<bool> {
    let same = doomed_objects::table.find(&doomed.prefix);
    let same = same.filter(doomed_objects::due_at.eq(doomed.due_at));
    Ok(diesel::delete(same).execute(conn).await? == 1)
}
