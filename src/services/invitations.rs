//! People who are to become staff. A token of 256 bits is mailed to them, by which they choose a password; of it only
//! a hash is kept, it works once, and until it expires.

use chrono::{DateTime, TimeDelta, Utc};
use minijinja::context;
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Entry, Subject},
    cursors::{ListRequest, Listed},
    email_address::EmailAddress,
    limits::{Action, Who},
    mails::{DEFAULT_LOCALE, Request, Template},
    permissions::Permissions,
    staff_accounts::{find_roles, given_by},
};
use crate::db::{
    Actor, Origin, Tx,
    admins::{self, NewAdmin},
    invitations::{self, Invitation, InvitationFilter, InvitationSort, Invited, NewInvitation},
    roles,
};

/// What the settings say of invitations.
#[derive(Debug, Clone)]
pub struct Invitations {
    /// How long one is good for.
    pub life: TimeDelta,
    /// Where people reach us, without a slash at its end: never taken from a request (security condition 6).
    pub public_url: String,
}

/// One page of the invitations that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &InvitationFilter,
    request: ListRequest<InvitationSort>,
) -> Result<Listed<Invited>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(invitations::count(&mut conn, filter)).await?;
    let rows = invitations::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// One invitation.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<Invited> {
    let mut conn = core.db.conn().await?;
    Ok(invitations::find(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// Whom to invite.
#[derive(Debug, Clone)]
pub struct NewMember {
    pub email: EmailAddress,
    pub name: String,
    pub roles: Vec<Uuid>,
}

/// Invites somebody by mail. `own` is what the caller may do.
///
/// # Errors
/// [`Code::PermissionDenied`] for roles that give more than the caller has, [`Code::EmailTaken`],
/// [`Code::InvitationPending`], or [`Code::ValidationFailed`] for a role that isn't there.
pub async fn create(
    core: &Core,
    origin: &Origin,
    own: Permissions,
    new: NewMember,
) -> Result<Invited> {
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    own.require_all(given_by(&find_roles(&mut tx, &new.roles).await?))?;
    if admins::find_by_email(&mut tx, new.email.as_str()).await?.is_some() {
        return Err(Code::EmailTaken.into());
    }
    let token = core.random.token();
    let row = NewInvitation {
        id,
        email: new.email.as_str(),
        name: &new.name,
        roles: &new.roles,
        token_hash: &core.code_key.hash(&token),
        expires_at: now + core.invitations.life,
        invited_by: origin.actor.admin_id(),
        now,
    };
    if !invitations::insert(&mut tx, row).await? {
        return Err(Code::InvitationPending.into());
    }
    let invited = send(core, &mut tx, id, &token).await?;
    let entry = Entry::new(audit::Action::InvitationCreated, Subject::Invitation(id));
    audit::record(core, &mut tx, entry.made(&invited)).await?;
    tx.commit().await?;
    Ok(invited)
}

/// Mails another token to who was invited, in place of the one before. `own` is what the caller may do.
///
/// # Errors
/// [`Code::NotFound`], [`Code::InvitationEnded`], or [`Code::PermissionDenied`] for roles that give more than the caller
/// has.
pub async fn resend(core: &Core, origin: &Origin, own: Permissions, id: Uuid) -> Result<Invited> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let invited = invitations::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
    let ids: Vec<Uuid> = invited.roles.0.iter().map(|role| role.id).collect();
    own.require_all(given_by(&find_roles(&mut tx, &ids).await?))?;
    let (token, expires_at) = (core.random.token(), now + core.invitations.life);
    let hash = core.code_key.hash(&token);
    if !invitations::renew(&mut tx, id, &hash, expires_at, now).await? {
        return Err(Code::InvitationEnded.into());
    }
    let present = invited;
    let invited = send(core, &mut tx, id, &token).await?;
    let entry = Entry::new(audit::Action::InvitationResent, Subject::Invitation(id));
    audit::record(core, &mut tx, entry.changed(&present, &invited)).await?;
    tx.commit().await?;
    Ok(invited)
}

/// Makes an invitation void.
///
/// # Errors
/// [`Code::NotFound`] or [`Code::InvitationEnded`].
pub async fn revoke(core: &Core, origin: &Origin, id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let invited = invitations::find(&mut tx, id).await?.ok_or(Code::NotFound)?;
    if !invitations::revoke(&mut tx, id, now).await? {
        return Err(Code::InvitationEnded.into());
    }
    let entry = Entry::new(audit::Action::InvitationRevoked, Subject::Invitation(id));
    audit::record(core, &mut tx, entry.removed(&invited)).await?;
    Ok(tx.commit().await?)
}

/// Makes the account of who was invited. It doesn't sign in.
///
/// # Errors
/// [`Code::InvalidInvitation`], [`Code::TooManyRequests`], or [`Code::ValidationFailed`] for a weak password, which
/// leaves the invitation good.
pub async fn accept(
    core: &Core,
    origin: &Origin,
    token: &str,
    password: &SecretString,
) -> Result<Invitation> {
    let policy = core.passwords.policy;
    // Before anything is hashed, what no account may have.
    policy.check("password", password, &[], false)?;
    core.limits.check(origin, Action::Recovery, Who::Nobody).await?;
    let hash = core.passwords.hash(password).await?;
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let token_hash = core.code_key.hash(token);
    let accepted = invitations::accept(&mut tx, &token_hash, now).await?;
    let invitation = accepted.ok_or(Code::InvalidInvitation)?;
    let (email, name) = (invitation.email.as_str(), invitation.name.as_str());
    policy.check("password", password, &[email, name], false)?;
    let row = NewAdmin { id, email, name, password_hash: &hash, now };
    admins::insert(&mut tx, row).await?.ok_or(Code::InvalidInvitation)?;
    let given = invitations::roles(&mut tx, invitation.id).await?;
    roles::give(&mut tx, id, &given, now).await?;
    let member = admins::find_member(&mut tx, id).await?.ok_or(Code::NotFound)?;
    let by = Actor::Admin(id);
    let accepted = Subject::Invitation(invitation.id);
    let entry = Entry::new(audit::Action::InvitationAccepted, accepted).by(by, None);
    audit::record(core, &mut tx, entry).await?;
    let entry = Entry::new(audit::Action::AdminCreated, Subject::Admin(id)).by(by, None);
    audit::record(core, &mut tx, entry.made(&member)).await?;
    tx.commit().await?;
    Ok(invitation)
}

async fn send(core: &Core, tx: &mut Tx, id: Uuid, token: &str) -> Result<Invited> {
    let invited = invitations::find(tx, id).await?.ok_or(Code::NotFound)?;
    let values = context! {
        name => &invited.name,
        link => format!("{}/backoffice/invitation?token={token}", core.invitations.public_url),
        until => until(invited.expires_at),
    };
    let recipient = &invited.email;
    let (template, locale) = (Template::Invitation, DEFAULT_LOCALE);
    let request = Request { recipient, user_id: None, template, locale, values };
    core.mails.queue(core, tx, request).await?;
    Ok(invited)
}

fn until(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M (UTC)").to_string()
}
