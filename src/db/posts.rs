//! `posts`: what users write.

mod feed;
mod managed;
mod of_author;
mod search;

use std::fmt;

use chrono::{DateTime, Utc};
use diesel::{dsl, expression::SqlLiteral, pg::Pg, prelude::*, sql_types::Jsonb};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Conn,
    post_attachments::{Attachment, Attachments, OF_POST},
    schema::{posts, users},
    text_enum,
    texts::Texts,
};

pub use feed::{FeedFilter, FeedPost, FeedSort, feed, in_feed};
pub use managed::{ListedPost, PostFilter, PostSort, count, counted, erase, list, listed};
pub use of_author::{AuthorFilter, AuthorPost, AuthorSort, of_author, written_by};

pub use search::{FoundPost, FoundSort, Search, in_order, search};

text_enum! {
    /// What the author wants a post to be.
    PostStage {
        Draft = "draft",
        /// A job publishes it when `published_at` has come.
        Scheduled = "scheduled",
        Published = "published",
    }
}

text_enum! {
    /// What a post is, after all that author and staff have done.
    PostState {
        Draft = "draft",
        Scheduled = "scheduled",
        /// The only ones that others see.
        Published = "published",
        /// By staff.
        Hidden = "hidden",
        /// By the author, who can restore it for a while.
        Deleted = "deleted",
    }
}

/// The author's name, beside a post.
#[dsl::auto_type]
fn author_name() -> _ {
    users::table.filter(users::id.eq(posts::author_id)).select(users::name).single_value()
}

/// What comes with a post.
fn attachments() -> SqlLiteral<Jsonb> {
    dsl::sql(OF_POST)
}

/// A post.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, Deserialize)]
#[diesel(table_name = posts, check_for_backend(Pg))]
pub struct Post {
    pub id: Uuid,
    pub author_id: Uuid,
    #[diesel(select_expression = author_name())]
    pub author_name: Option<String>,
    pub slug: String,
    pub title: String,
    /// Markdown.
    pub body: String,
    /// What is made of it: harmless.
    pub html: String,
    /// The beginning, as plain text.
    pub excerpt: String,
    #[diesel(deserialize_as = Texts)]
    pub tags: Vec<String>,
    pub stage: PostStage,
    pub state: PostState,
    /// When it was published, or is to be.
    pub published_at: Option<DateTime<Utc>>,
    /// Since when staff hide it.
    pub hidden_at: Option<DateTime<Utc>>,
    /// Why staff hide it.
    pub hidden_reason: Option<String>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// The file that is shown with it.
    pub cover_id: Option<Uuid>,
    #[diesel(select_expression = attachments(), select_expression_type = SqlLiteral<Jsonb>, deserialize_as = Attachments)]
    pub attachments: Vec<Attachment>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What callers name a post by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostKey {
    Id(Uuid),
    Slug(String),
}

/// No slug can be read as an identifier.
impl fmt::Display for PostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Slug(slug) => slug.fmt(f),
        }
    }
}

/// What a new row needs: a draft.
#[derive(Debug, Insertable)]
#[diesel(table_name = posts, check_for_backend(Pg))]
pub struct NewPost<'a> {
    pub id: Uuid,
    pub author_id: Uuid,
    pub slug: String,
    pub title: &'a str,
    pub body: &'a str,
    pub html: String,
    pub excerpt: String,
    pub tags: &'a [String],
    pub cover_id: Option<Uuid>,
    pub stage: PostStage,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Stores a new post.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewPost<'_>) -> QueryResult<Post> {
    let insert = diesel::insert_into(posts::table).values(new);
    insert.returning(Post::as_returning()).get_result(conn).await
}

/// The post of this name, in whatever state.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, key: &PostKey) -> QueryResult<Option<Post>> {
    let post = posts::table.select(Post::as_select());
    match key {
        PostKey::Id(id) => post.filter(posts::id.eq(id)).first(conn).await,
        PostKey::Slug(slug) => post.filter(posts::slug.eq(slug)).first(conn).await,
    }
    .optional()
}

/// A post, locked until the transaction ends, so that what was read stays true. Who only names it, such as a like, isn't
/// kept waiting.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Post>> {
    posts::table.find(id).select(Post::as_select()).for_no_key_update().first(conn).await.optional()
}

/// A post that nobody deletes for good until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Post>> {
    posts::table.find(id).select(Post::as_select()).for_key_share().first(conn).await.optional()
}

/// Changes to a post: `None` leaves a column alone, `Some(None)` clears it.
#[derive(Debug, Default, AsChangeset)]
#[diesel(table_name = posts)]
pub struct PostChanges {
    pub title: Option<String>,
    pub body: Option<String>,
    pub html: Option<String>,
    pub excerpt: Option<String>,
    pub tags: Option<Vec<String>>,
    pub cover_id: Option<Option<Uuid>>,
    pub stage: Option<PostStage>,
    pub published_at: Option<Option<DateTime<Utc>>>,
    pub hidden_at: Option<Option<DateTime<Utc>>>,
    pub hidden_reason: Option<Option<String>>,
    pub deleted_at: Option<Option<DateTime<Utc>>>,
}

/// Changes a post that is locked.
///
/// # Errors
/// When the statement fails.
pub async fn change(
    conn: &mut Conn,
    id: Uuid,
    changes: PostChanges,
    now: DateTime<Utc>,
) -> QueryResult<Post> {
    diesel::update(posts::table.find(id))
        .set((changes, posts::updated_at.eq(now)))
        .returning(Post::as_returning())
        .get_result(conn)
        .await
}
