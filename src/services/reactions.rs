//! What follows from what happens to users. Each may be done twice with the same `id`, and has one effect.

use minijinja::context;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Core, Result,
    jobs::Job,
    mails::{DEFAULT_LOCALE, Request, Template},
    one_time_codes::{self, TOKEN_LIFE},
};
use crate::db::{
    Origin, mails,
    notifications::{self, NewNotification},
    user_one_time_codes::Purpose,
    users::{self, UserStatus},
};

/// Welcomes a user by mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendWelcome {
    pub user_id: Uuid,
}

impl Job for SendWelcome {
    const KIND: &'static str = "user.send_welcome";
    const QUEUE: &'static str = "mail";
}

/// Mails the token with which a user can choose a new password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendPasswordReset {
    pub user_id: Uuid,
}

impl Job for SendPasswordReset {
    const KIND: &'static str = "user.send_password_reset";
    const QUEUE: &'static str = "mail";
}

/// Tells a user something within the apps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notify {
    pub user_id: Uuid,
    /// What has happened, as `password_changed`.
    pub about: String,
}

impl Job for Notify {
    const KIND: &'static str = "user.notify";
}

/// Welcomes a user by mail, once; nobody who has been deleted.
///
/// # Errors
/// When the database fails.
pub async fn send_welcome(core: &Core, origin: &Origin, id: Uuid, user_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    if let Some(user) = users::find(&mut tx, user_id).await? {
        let request = Request {
            recipient: &user.email,
            template: Template::Welcome,
            locale: DEFAULT_LOCALE,
            values: context! { name => user.name },
        };
        core.mails.queue_once(core, &mut tx, id, request).await?;
    }
    Ok(tx.commit().await?)
}

/// Mails a new token to a user who may sign in. Done again, it makes no other one: the first would be of no
/// use any more.
///
/// # Errors
/// When the database fails.
pub async fn send_password_reset(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    user_id: Uuid,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let user = users::lock(&mut tx, user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active);
    if let Some(user) = user
        && mails::find(&mut tx, id).await?.is_none()
    {
        let token =
            one_time_codes::issue_token(core, &mut tx, user.id, Purpose::ResetPassword).await?;
        let request = Request {
            recipient: &user.email,
            template: Template::ResetPassword,
            locale: DEFAULT_LOCALE,
            values: context! { token, minutes => TOKEN_LIFE.num_minutes() },
        };
        core.mails.queue_once(core, &mut tx, id, request).await?;
    }
    Ok(tx.commit().await?)
}

/// Tells a user something within the apps, once.
///
/// # Errors
/// When the database fails.
pub async fn notify(core: &Core, origin: &Origin, id: Uuid, what: &Notify) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    if users::find(&mut tx, what.user_id).await?.is_some() {
        let new =
            NewNotification { id, user_id: what.user_id, kind: &what.about, data: json!({}), now };
        notifications::insert(&mut tx, new).await?;
    }
    Ok(tx.commit().await?)
}
