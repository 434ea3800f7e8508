//! Giving an account another address, in two steps: a code goes to the new address, and the old one is
//! told when that has been entered (ASVS 5.0, 6.3.7).

use minijinja::context;
use uuid::Uuid;

use super::{
    Code, Core, FieldError, Result, ServiceError,
    audit::{self, Entry, Subject},
    email_address::EmailAddress,
    events::EmailChanged,
    limits::{Action, Who},
    mails::{Request, Template, locale_of},
    one_time_codes::{self, CODE_LIFE},
};
use crate::db::{
    Origin,
    sessions::Realm,
    user_one_time_codes::{self, Purpose},
    users::{self, User},
};

/// Mails a code to the new address. Whoever owns it already, with an account of theirs, gets a mail that says so
/// instead: the answer doesn't tell.
///
/// # Errors
/// [`Code::ValidationFailed`] for the address that the account has.
pub async fn begin(core: &Core, origin: &Origin, user_id: Uuid, new: &EmailAddress) -> Result<()> {
    let who = Who::Address(Realm::Client, new.as_str());
    core.limits.check(origin, Action::Recovery, who).await?;
    let mut tx = core.db.begin(origin).await?;
    let user = users::lock(&mut tx, user_id).await?.ok_or(Code::SessionEnded)?;
    let new = new.as_str();
    if new == user.email {
        let fault = FieldError::new("email", "unchanged", "is the address of the account already");
        return Err(ServiceError::invalid(vec![fault]));
    }
    // Also where nobody is told the code: it takes the same time.
    let purpose = Purpose::ChangeEmail;
    let code = one_time_codes::issue_code(core, &mut tx, user.id, purpose, Some(new)).await?;
    let owner = users::find_by_email(&mut tx, new).await?;
    let owner = owner.filter(|owner| owner.email_verified_at.is_some());
    // One mail either way, for the same reason.
    let (about, template, values) = match &owner {
        Some(owner) => (owner, Template::AlreadyRegistered, context! {}),
        None => {
            (&user, Template::ChangeEmail, context! { code, minutes => CODE_LIFE.num_minutes() })
        }
    };
    let (user_id, locale) = (Some(about.id), locale_of(about));
    let request = Request { recipient: new, user_id, template, locale, values };
    core.mails.queue(core, &mut tx, request).await?;
    Ok(tx.commit().await?)
}

/// Gives the account the address that the code was mailed to. Whoever has registered that meanwhile without
/// verifying it has nothing: the code shows whose it is.
///
/// # Errors
/// [`Code::InvalidCode`], [`Code::TooManyRequests`], or [`Code::EmailTaken`] when another account has verified the
/// address meanwhile.
pub async fn complete(
    core: &Core,
    origin: &Origin,
    user_id: Uuid,
    session_id: Uuid,
    code: &str,
) -> Result<()> {
    core.limits.check(origin, Action::Code, Who::Session(session_id)).await?;
    let mut tx = core.db.begin(origin).await?;
    let (now, purpose) = (tx.now, Purpose::ChangeEmail);
    let user = users::lock(&mut tx, user_id).await?.ok_or(Code::SessionEnded)?;
    let consumed = one_time_codes::consume(core, &mut tx, user.id, purpose, code).await?;
    let Some(new) = consumed.and_then(|consumed| consumed.new_email) else {
        tx.commit().await?;
        return Err(Code::InvalidCode.into());
    };
    if let Some(other) = users::find_by_email(&mut tx, &new).await? {
        if other.email_verified_at.is_some() {
            return Err(Code::EmailTaken.into());
        }
        users::delete_unverified(&mut tx, other.id).await?;
    }
    if !users::set_email(&mut tx, user.id, &new, now).await? {
        return Err(Code::EmailTaken.into());
    }
    // Tokens that were mailed to the old address are of no use any more.
    user_one_time_codes::delete_all(&mut tx, user.id).await?;
    let changed = User { email: new, email_verified_at: Some(now), ..user.clone() };
    let entry = Entry::new(audit::Action::UserEmailChanged, Subject::User(user.id));
    audit::record(core, &mut tx, entry.changed(&user, &changed)).await?;
    let event = EmailChanged { user_id: user.id, old_email: user.email };
    core.jobs.publish(core, &mut tx, &event).await?;
    Ok(tx.commit().await?)
}
