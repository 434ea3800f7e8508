//! `post_comments`: what users say to posts.

use chrono::{DateTime, Utc};
use diesel::{dsl, pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Conn,
    keyset::{Window, sortable},
    schema::{post_comments, posts, users},
};

/// The name of a comment's author.
#[dsl::auto_type]
fn author_name() -> _ {
    users::table.filter(users::id.eq(post_comments::author_id)).select(users::name).single_value()
}

/// A comment.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = post_comments, check_for_backend(Pg))]
pub struct PostComment {
    pub id: Uuid,
    pub author_id: Uuid,
    #[diesel(select_expression = author_name())]
    pub author_name: Option<String>,
    /// Markdown.
    pub body: String,
    /// What is made of it: harmless.
    pub html: String,
    pub created_at: DateTime<Utc>,
}

/// What a new row needs.
#[derive(Debug, Insertable)]
#[diesel(table_name = post_comments, check_for_backend(Pg))]
pub struct NewComment<'a> {
    pub id: Uuid,
    pub post_id: Uuid,
    pub author_id: Uuid,
    pub body: &'a str,
    pub html: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Stores a comment.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewComment<'_>) -> QueryResult<PostComment> {
    let insert = diesel::insert_into(post_comments::table).values(new);
    insert.returning(PostComment::as_returning()).get_result(conn).await
}

sortable! {
    /// What a list of comments can be sorted by.
    CommentSort: PostComment, post_comments, "created_at", [created_at]
}

/// Whose comments to list.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CommentFilter {
    pub post_id: Uuid,
}

/// The comments in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: CommentFilter,
    window: &Window<CommentSort>,
) -> QueryResult<Vec<PostComment>> {
    post_comments::table
        .filter(post_comments::post_id.eq(filter.post_id))
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(PostComment::as_select())
        .load(conn)
        .await
}

/// Deletes a comment, and returns it and the post that it was said to.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut Conn, id: Uuid) -> QueryResult<Option<(Uuid, PostComment)>> {
    diesel::delete(post_comments::table.find(id))
        .returning((post_comments::post_id, PostComment::as_returning()))
        .get_result(conn)
        .await
        .optional()
}

/// Deletes a comment that this user wrote, or that was said to a post of theirs; `false` when there is none.
///
/// # Errors
/// When the statement fails.
pub async fn delete_by(conn: &mut Conn, id: Uuid, user_id: Uuid) -> QueryResult<bool> {
    let to_own = posts::table.filter(posts::author_id.eq(user_id)).select(posts::id);
    let comment = post_comments::table
        .find(id)
        .filter(post_comments::author_id.eq(user_id).or(post_comments::post_id.eq_any(to_own)));
    Ok(diesel::delete(comment).execute(conn).await? == 1)
}
