//! What follows from what happens to users. Each may be done twice with the same `id`, and has one effect.

use minijinja::context;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Core, Result,
    jobs::Job,
    mails::{Request, Template, locale_of},
};
use crate::db::{Origin, users};

/// Welcomes a user by mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendWelcome {
    pub user_id: Uuid,
}

impl Job for SendWelcome {
    const KIND: &'static str = "user.send_welcome";
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
