//! `words`: what published posts are made of, and in how many posts each word is. Triggers note posts whose words are to
//! be counted, and a job counts them.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::{Conn, post_counts::Taken};

/// Counts the words of up to `limit` posts, and returns of how many.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, limit: i64, now: DateTime<Utc>) -> QueryResult<i64> {
    let counted: Taken = sql_query(
        "WITH taken AS (
             DELETE FROM word_count_changes WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM word_count_changes LIMIT $1 FOR UPDATE SKIP LOCKED))
             RETURNING post_id
         ), counted AS (
             INSERT INTO words (name, post_count, created_at, updated_at)
             SELECT lexeme, count(*), $2, $2
             FROM (SELECT DISTINCT post_id FROM taken) AS changed
             JOIN posts ON posts.id = changed.post_id, unnest(posts.search)
             WHERE posts.state = 'published'
             GROUP BY lexeme ORDER BY lexeme
             ON CONFLICT (name) DO UPDATE
                 SET post_count = words.post_count + excluded.post_count, updated_at = $2
         )
         SELECT count(*) AS rows FROM taken",
    )
    .bind::<BigInt, _>(limit)
    .bind::<Timestamptz, _>(now)
    .get_result(conn)
    .await?;
    Ok(counted.rows)
}
