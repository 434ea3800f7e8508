//! What somebody is mailed whose address was typed. The request only stores the job, also where there is no account:
//! so the answer takes as long for any address (ASVS 5.0, 6.3.8). What the account is to get is found out here.
//! Each may be done twice with the same `id`, and has one effect.

use minijinja::{Value, context};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Core, Result,
    jobs::Job,
    mails::{Request, Template, locale_of},
    one_time_codes::{self, CODE_LIFE, TOKEN_LIFE},
};
use crate::db::{
    Origin, Tx, mails,
    user_one_time_codes::Purpose,
    users::{self, User, UserStatus},
};

/// Makes a job for the account of an address.
macro_rules! for_address {
    ($(#[$meta:meta])* $name:ident = $kind:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub struct $name {
            /// `None` where the address has no account.
            pub user_id: Option<Uuid>,
        }

        impl Job for $name {
            const KIND: &'static str = $kind;
            const QUEUE: &'static str = "mail";
        }
    };
}

for_address! {
    /// Mails a code to an address that was registered, or says to its owner that it has an account.
    AnswerRegistration = "user.answer_registration"
}
for_address! {
    /// Mails another code, if the address waits for one.
    SendVerificationCode = "user.send_verification_code"
}
for_address! {
    /// Mails the token with which a user can choose a new password.
    SendPasswordReset = "user.send_password_reset"
}

/// As [`AnswerRegistration`] says.
///
/// # Errors
/// When the database fails.
pub async fn answer_registration(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    user_id: Option<Uuid>,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    if let Some(user) = lock(&mut tx, user_id).await? {
        if user.email_verified_at.is_some() {
            send(core, &mut tx, id, &user, Template::AlreadyRegistered, context! {}).await?;
        } else {
            send_code(core, &mut tx, id, &user).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// As [`SendVerificationCode`] says.
///
/// # Errors
/// When the database fails.
pub async fn send_verification_code(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    user_id: Option<Uuid>,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let user = lock(&mut tx, user_id).await?;
    if let Some(user) = user.filter(|user| user.email_verified_at.is_none()) {
        send_code(core, &mut tx, id, &user).await?;
    }
    Ok(tx.commit().await?)
}

/// Mails a new token to a user who may sign in.
///
/// # Errors
/// When the database fails.
pub async fn send_password_reset(
    core: &Core,
    origin: &Origin,
    id: Uuid,
    user_id: Option<Uuid>,
) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let user = lock(&mut tx, user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active);
    if let Some(user) = user
        && is_new(&mut tx, id).await?
    {
        let purpose = Purpose::ResetPassword;
        let token = one_time_codes::issue_token(core, &mut tx, user.id, purpose).await?;
        let values = context! { token, minutes => TOKEN_LIFE.num_minutes() };
        send(core, &mut tx, id, &user, Template::ResetPassword, values).await?;
    }
    Ok(tx.commit().await?)
}

async fn lock(tx: &mut Tx, user_id: Option<Uuid>) -> Result<Option<User>> {
    match user_id {
        Some(id) => Ok(users::lock(tx, id).await?),
        None => Ok(None),
    }
}

async fn send_code(core: &Core, tx: &mut Tx, id: Uuid, user: &User) -> Result<()> {
    if !is_new(tx, id).await? {
        return Ok(());
    }
    let code = one_time_codes::issue_code(core, tx, user.id, Purpose::VerifyEmail, None).await?;
    let values = context! { code, minutes => CODE_LIFE.num_minutes() };
    send(core, tx, id, user, Template::VerifyEmail, values).await
}

/// Whether the mail isn't written yet: another code would make the one in it useless.
async fn is_new(tx: &mut Tx, id: Uuid) -> Result<bool> {
    Ok(mails::find(tx, id).await?.is_none())
}

async fn send(
    core: &Core,
    tx: &mut Tx,
    id: Uuid,
    user: &User,
    template: Template,
    values: Value,
) -> Result<()> {
    let (recipient, user_id, locale) = (&user.email, Some(user.id), locale_of(user));
    let request = Request { recipient, user_id, template, locale, values };
    core.mails.queue_once(core, tx, id, request).await
}
