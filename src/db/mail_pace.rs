//! `mail_pace`: when the next mail may go, so that all processes together keep to one rate.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{QueryResult, prelude::*, sql_types};
use diesel_async::RunQueryDsl;

use super::Conn;

#[derive(QueryableByName)]
struct Turn {
    #[diesel(sql_type = sql_types::Timestamptz)]
    at: DateTime<Utc>,
}

/// Takes the next turn; the one after it is `step` later. `None`, and nothing is taken, if it is more than
/// `patience` away.
///
/// # Errors
/// When the statement fails.
pub async fn take_turn(
    conn: &mut Conn,
    step: TimeDelta,
    patience: TimeDelta,
    now: DateTime<Utc>,
) -> QueryResult<Option<DateTime<Utc>>> {
    let turn: Option<Turn> = diesel::sql_query(
        "INSERT INTO mail_pace (only_row, next_at, created_at, updated_at) VALUES (true, $1 + $2, $1, $1) \
         ON CONFLICT (only_row) DO UPDATE SET next_at = greatest(mail_pace.next_at, $1) + $2, updated_at = $1 \
         WHERE mail_pace.next_at <= $3 RETURNING next_at - $2 AS at",
    )
    .bind::<sql_types::Timestamptz, _>(now)
    .bind::<sql_types::Interval, _>(step)
    .bind::<sql_types::Timestamptz, _>(now + patience)
    .get_result(conn)
    .await
    .optional()?;
    Ok(turn.map(|turn| turn.at))
}
