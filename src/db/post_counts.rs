//! Counts that many change at once: each change is a row, which triggers write, and a job adds them up. What has not
//! been added yet is counted by who must know it.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Bool, Nullable, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Conn;

/// What users make of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Reactions {
    #[diesel(sql_type = BigInt)]
    pub likes: i64,
    #[diesel(sql_type = BigInt)]
    pub comments: i64,
    /// Whether the viewer likes it.
    #[diesel(sql_type = Bool)]
    pub is_liked: bool,
}

/// What users make of a post by now.
///
/// # Errors
/// When the statement fails.
pub async fn reactions(
    conn: &mut Conn,
    post_id: Uuid,
    viewer: Option<Uuid>,
) -> QueryResult<Option<Reactions>> {
    sql_query(
        "SELECT like_count + changed.likes AS likes, comment_count + changed.comments AS comments,
                EXISTS (SELECT FROM post_likes WHERE post_id = posts.id AND user_id = $2) AS is_liked
         FROM posts, LATERAL (
             SELECT coalesce(sum(likes), 0)::bigint AS likes, coalesce(sum(comments), 0)::bigint AS comments
             FROM post_count_changes WHERE post_id = posts.id
         ) AS changed
         WHERE posts.id = $1",
    )
    .bind::<SqlUuid, _>(post_id)
    .bind::<Nullable<SqlUuid>, _>(viewer)
    .get_result(conn)
    .await
    .optional()
}

/// A post whose counts have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct CountedPost {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// How many changes of it were added.
    #[diesel(sql_type = BigInt)]
    pub changes: i64,
}

/// How many changes were taken.
#[derive(QueryableByName)]
pub(super) struct Taken {
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
}

/// Adds up to `limit` changes to the counts of posts, and returns of which ones.
///
/// # Errors
/// When the statement fails.
pub async fn add_to_posts(conn: &mut Conn, limit: i64) -> QueryResult<Vec<CountedPost>> {
    sql_query(
        "WITH taken AS (
             DELETE FROM post_count_changes WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM post_count_changes LIMIT $1 FOR UPDATE SKIP LOCKED))
             RETURNING post_id, likes, comments
         ), summed AS (
             SELECT post_id, sum(likes) AS likes, sum(comments) AS comments, count(*) AS changes
             FROM taken GROUP BY post_id
         ), added AS (
             UPDATE posts SET like_count = like_count + summed.likes,
                              comment_count = comment_count + summed.comments
             FROM summed WHERE posts.id = summed.post_id
         )
         SELECT post_id AS id, changes FROM summed",
    )
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await
}

/// The same for tags; returns how many there were.
///
/// # Errors
/// When the statement fails.
pub async fn add_to_tags(conn: &mut Conn, limit: i64, now: DateTime<Utc>) -> QueryResult<i64> {
    let added: Taken = sql_query(
        "WITH taken AS (
             DELETE FROM tag_count_changes WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM tag_count_changes LIMIT $1 FOR UPDATE SKIP LOCKED))
             RETURNING name, posts
         ), added AS (
             INSERT INTO tags (name, post_count, created_at, updated_at)
             SELECT name, sum(posts), $2, $2 FROM taken GROUP BY name
             ON CONFLICT (name) DO UPDATE
                 SET post_count = tags.post_count + excluded.post_count, updated_at = $2
         )
         SELECT count(*) AS rows FROM taken",
    )
    .bind::<BigInt, _>(limit)
    .bind::<Timestamptz, _>(now)
    .get_result(conn)
    .await?;
    Ok(added.rows)
}
