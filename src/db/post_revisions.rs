//! `post_revisions`: what posts were before they were changed.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Conn,
    keyset::{Window, sortable},
    posts::Post,
    schema::post_revisions,
    texts::Texts,
};

/// What a post was until `created_at`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = post_revisions, check_for_backend(Pg))]
pub struct PostRevision {
    pub id: Uuid,
    pub title: String,
    pub body: String,
    #[diesel(deserialize_as = Texts)]
    pub tags: Vec<String>,
    pub created_at: DateTime<Utc>,
}

/// Keeps what a post is before it is changed, and of what it was no more than the last `kept`.
///
/// # Errors
/// When a statement fails.
pub async fn keep(
    conn: &mut Conn,
    id: Uuid,
    post: &Post,
    kept: i64,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::insert_into(post_revisions::table)
        .values((
            post_revisions::id.eq(id),
            post_revisions::post_id.eq(post.id),
            post_revisions::title.eq(&post.title),
            post_revisions::body.eq(&post.body),
            post_revisions::tags.eq(&post.tags),
            post_revisions::created_at.eq(now),
            post_revisions::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    let older = diesel::alias!(post_revisions as older);
    let old = older
        .filter(older.field(post_revisions::post_id).eq(post.id))
        .order_by((
            older.field(post_revisions::created_at).desc(),
            older.field(post_revisions::id).desc(),
        ))
        .offset(kept)
        .select(older.field(post_revisions::id));
    diesel::delete(post_revisions::table.filter(post_revisions::id.eq_any(old)))
        .execute(conn)
        .await?;
    Ok(())
}

/// A revision of a post.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, post_id: Uuid, id: Uuid) -> QueryResult<Option<PostRevision>> {
    let revision = post_revisions::table.find(id).filter(post_revisions::post_id.eq(post_id));
    revision.select(PostRevision::as_select()).first(conn).await.optional()
}

sortable! {
    /// What a list of revisions can be sorted by.
    RevisionSort: PostRevision, post_revisions, "-created_at", [created_at]
}

/// Whose revisions to list.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RevisionFilter {
    pub post_id: Uuid,
}

/// The revisions in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: RevisionFilter,
    window: &Window<RevisionSort>,
) -> QueryResult<Vec<PostRevision>> {
    post_revisions::table
        .filter(post_revisions::post_id.eq(filter.post_id))
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(PostRevision::as_select())
        .load(conn)
        .await
}
