//! `notifications`: what users are told within the apps.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{Conn, schema::notifications};

/// What a new row needs.
#[derive(Debug, Clone)]
pub struct NewNotification<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    /// What has happened, as `password_changed`.
    pub kind: &'a str,
    pub data: Value,
    pub now: DateTime<Utc>,
}

/// Stores a notification, unless it is there already.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewNotification<'_>) -> QueryResult<()> {
    diesel::insert_into(notifications::table)
        .values((
            notifications::id.eq(new.id),
            notifications::user_id.eq(new.user_id),
            notifications::kind.eq(new.kind),
            notifications::data.eq(new.data),
            notifications::created_at.eq(new.now),
            notifications::updated_at.eq(new.now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}
