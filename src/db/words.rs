//! `words`: what published posts are made of, and in how many posts each word is. Triggers note posts whose words are to
//! be counted, and a job counts them, and forgets those that no post has any more.

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

/// Of up to `limit` words that few posts have had, and that have not been looked at since `before`, deletes those that no
/// published post has any more; returns how many were looked at.
///
/// # Errors
/// When the statement fails.
pub async fn forget(
    conn: &mut Conn,
    limit: i64,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> QueryResult<i64> {
    // To look for a word that many have takes long, and it is nobody's.
    let looked_at: Taken = sql_query(
        "WITH old AS (
             SELECT name, EXISTS (SELECT FROM posts WHERE state = 'published'
                                  AND search @@ quote_literal(words.name)::tsquery) AS is_used
             FROM words WHERE updated_at < $2 AND post_count < 1000
             ORDER BY updated_at, name LIMIT $1 FOR UPDATE SKIP LOCKED
         ), kept AS (
             UPDATE words SET updated_at = $3 FROM old WHERE words.name = old.name AND is_used
         ), gone AS (
             DELETE FROM words USING old WHERE words.name = old.name AND NOT is_used
         )
         SELECT count(*) AS rows FROM old",
    )
    .bind::<BigInt, _>(limit)
    .bind::<Timestamptz, _>(before)
    .bind::<Timestamptz, _>(now)
    .get_result(conn)
    .await?;
    Ok(looked_at.rows)
}
