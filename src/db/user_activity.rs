//! `user_activity`: when users were active.

use chrono::{DateTime, Utc};
use diesel::{prelude::*, query_dsl::methods::FilterDsl};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::user_activity};

/// Notes that the user is active now, unless that is known since `hour`; returns when they were active before, if
/// ever. Of several at once one notes it.
///
/// # Errors
/// When the statement fails.
pub async fn note(
    conn: &mut Conn,
    user_id: Uuid,
    hour: DateTime<Utc>,
    now: DateTime<Utc>,
) -> QueryResult<Option<Option<DateTime<Utc>>>> {
    let new = diesel::insert_into(user_activity::table)
        .values((
            user_activity::user_id.eq(user_id),
            user_activity::active_at.eq(now),
            user_activity::created_at.eq(now),
            user_activity::updated_at.eq(now),
        ))
        .on_conflict(user_activity::user_id)
        .do_update()
        .set((
            user_activity::previous_at.eq(user_activity::active_at.nullable()),
            user_activity::active_at.eq(now),
            user_activity::updated_at.eq(now),
        ));
    FilterDsl::filter(new, user_activity::active_at.lt(hour))
        .returning(user_activity::previous_at)
        .get_result(conn)
        .await
        .optional()
}
