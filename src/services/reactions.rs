//! What follows from what happens to users. Each may be done twice with the same `id`, and has one effect.

use minijinja::context;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Core, Result,
    jobs::Job,
    mails::{Request, Template, locale_of},
    one_time_codes::{self, TOKEN_LIFE},
};
use crate::db::{
    Origin, mails,
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

/// Welcomes a user by mail, once; nobody who has been deleted.
///
/// # Errors
/// When the database fails.
pub async fn send_welcome(core: &Core, origin: &Origin, id: Uuid, user_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    if let Some(user) = users::find(&mut tx, user_id).await? {
        let request = Request {
            recipient: &user.email,
            user_id: Some(user.id),
            template: Template::Welcome,
            locale: locale_of(&user),
            values: context! { name => &user.name },
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
            user_id: Some(user.id),
            template: Template::ResetPassword,
            locale: locale_of(&user),
            values: context! { token, minutes => TOKEN_LIFE.num_minutes() },
        };
        core.mails.queue_once(core, &mut tx, id, request).await?;
    }
    Ok(tx.commit().await?)
}
