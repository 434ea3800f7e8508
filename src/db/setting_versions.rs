//! `setting_versions`: what staff set while the program runs. The newest version of each setting counts.

use std::{convert::Infallible, time::Duration};

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use futures_util::future;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Conn, DbError,
    connect::connect,
    keyset::{Window, sortable},
    schema::setting_versions,
};
use crate::telemetry::Chain;

/// What a setting was from then on.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = setting_versions, check_for_backend(Pg))]
pub struct SettingVersion {
    pub id: Uuid,
    pub name: String,
    /// From 1.
    pub version: i32,
    pub value: Value,
    /// The admin, if it was one.
    pub changed_by: Option<Uuid>,
    pub created_at: DateTime<Utc>,
}

/// What a new row needs.
pub struct NewVersion<'a> {
    pub id: Uuid,
    pub name: &'a str,
    pub version: i32,
    pub value: &'a Value,
    pub changed_by: Option<Uuid>,
    pub now: DateTime<Utc>,
}

/// Stores a version; `None` when there is one of this number already.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewVersion<'_>) -> QueryResult<Option<SettingVersion>> {
    diesel::insert_into(setting_versions::table)
        .values((
            setting_versions::id.eq(new.id),
            setting_versions::name.eq(new.name),
            setting_versions::version.eq(new.version),
            setting_versions::value.eq(new.value),
            setting_versions::changed_by.eq(new.changed_by),
            setting_versions::created_at.eq(new.now),
            setting_versions::updated_at.eq(new.now),
        ))
        .on_conflict((setting_versions::name, setting_versions::version))
        .do_nothing()
        .returning(SettingVersion::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// The newest version of each setting that was ever set.
///
/// # Errors
/// When the statement fails.
pub async fn current(conn: &mut Conn) -> QueryResult<Vec<SettingVersion>> {
    setting_versions::table
        .distinct_on(setting_versions::name)
        .order((setting_versions::name, setting_versions::version.desc()))
        .select(SettingVersion::as_select())
        .load(conn)
        .await
}

sortable! {
    /// What versions can be sorted by.
    VersionSort: SettingVersion, setting_versions, "-created_at", [created_at]
}

/// Whose versions to list.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct VersionFilter {
    pub name: &'static str,
}

/// The versions in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: VersionFilter,
    window: &Window<VersionSort>,
) -> QueryResult<Vec<SettingVersion>> {
    setting_versions::table
        .filter(setting_versions::name.eq(filter.name))
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(SettingVersion::as_select())
        .load(conn)
        .await
}

/// How often the settings are read where nobody has told of a change: it may have been told while nobody heard.
const LOOK: Duration = Duration::from_millis(500);
/// How long it is waited for an answer, and before the next connection.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reads the settings again and again on a connection of its own, and whenever it is woken; until it is dropped.
pub async fn follow(url: SecretString, woken: &Notify, read: impl Fn(Vec<SettingVersion>)) {
    let mut is_away = false;
    loop {
        let Err(error) = follow_until_it_fails(&url, woken, &read, &mut is_away).await;
        if !std::mem::replace(&mut is_away, true) {
            tracing::warn!("settings that staff change can't be read: {}", Chain(&error));
        }
        sleep(PATIENCE).await;
    }
}

async fn follow_until_it_fails(
    url: &SecretString,
    woken: &Notify,
    read: &impl Fn(Vec<SettingVersion>),
    is_away: &mut bool,
) -> Result<Infallible, DbError> {
    let late = |_| DbError::Unavailable("no answer in time".to_owned());
    let connected = connect(url.expose_secret(), None, future::pending()).await;
    let (mut conn, _driver) =
        connected.map_err(|error| DbError::Unavailable(Chain(&error).to_string()))?;
    conn.batch_execute("SET default_transaction_read_only = on").await?;
    loop {
        read(timeout(PATIENCE * 4, current(&mut conn)).await.map_err(late)??);
        if std::mem::take(is_away) {
            tracing::info!("settings that staff change are read again");
        }
        let _ = timeout(LOOK, woken.notified()).await;
    }
}
