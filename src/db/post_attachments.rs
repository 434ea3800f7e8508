//! `post_attachments`: files that come with posts.

use chrono::{DateTime, Utc};
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    pg::{Pg, PgValue},
    prelude::*,
    sql_types::Jsonb,
};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Conn, schema::post_attachments};

/// A file that comes with a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Of the file.
    pub id: Uuid,
    pub name: String,
    pub content_type: String,
    /// In bytes.
    pub size: i64,
}

/// Read from an array of JSON.
#[derive(FromSqlRow)]
pub struct Attachments(Vec<Attachment>);

impl FromSql<Jsonb, Pg> for Attachments {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let json = <serde_json::Value as FromSql<Jsonb, Pg>>::from_sql(value)?;
        Ok(Self(serde_json::from_value(json)?))
    }
}

impl From<Attachments> for Vec<Attachment> {
    fn from(Attachments(attachments): Attachments) -> Self {
        attachments
    }
}

/// Beside a post: what comes with it.
pub(super) const OF_POST: &str =
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('id', files.id, 'name', files.name,
                                                   'content_type', content_type, 'size', size)
                                ORDER BY position), '[]')
      FROM post_attachments JOIN files ON files.id = file_id WHERE post_id = posts.id)";

/// Has these files come with a post, in this order, and no others.
///
/// # Errors
/// When a statement fails.
pub async fn set(
    conn: &mut Conn,
    post_id: Uuid,
    file_ids: &[Uuid],
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let present = post_attachments::table.filter(post_attachments::post_id.eq(post_id));
    diesel::delete(present).execute(conn).await?;
    let rows: Vec<_> = (0_i32..)
        .zip(file_ids)
        .map(|(position, file_id)| {
            (
                post_attachments::post_id.eq(post_id),
                post_attachments::file_id.eq(*file_id),
                post_attachments::position.eq(position),
                post_attachments::created_at.eq(now),
                post_attachments::updated_at.eq(now),
            )
        })
        .collect();
    diesel::insert_into(post_attachments::table).values(rows).execute(conn).await?;
    Ok(())
}
