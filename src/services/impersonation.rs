//! Staff who look at the product as a user sees it, and within a setting act as the user (security condition 18).
//!
//! It is a session of the user, which is short, can't be refreshed, and is listed among the others. Its token says who
//! acts and in which session of theirs (`act`, RFC 8693, 4.1); that one has to be open as well, and still to be permitted.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Action, Entry, Subject},
    jobs::{Job, Order},
    permissions::Permission,
    sessions::ActingToken,
    tokens::Act,
};
use crate::db::{
    Origin, Tx, user_sessions,
    users::{self, UserStatus},
};

/// How staff may act as users.
#[derive(Debug, Clone, Copy)]
pub struct Impersonation {
    pub life: TimeDelta,
    /// Whether they may change anything.
    pub may_write: bool,
}

/// Lets a member of the staff act as a user, in the session of theirs that asks for it.
///
/// # Errors
/// [`Code::NotFound`], or [`Code::UserNotActive`].
pub async fn begin(
    core: &Core,
    origin: &Origin,
    act: Act,
    user_id: Uuid,
    reason: &str,
) -> Result<ActingToken> {
    let mut tx = core.db.begin(origin).await?;
    let user = users::lock(&mut tx, user_id).await?.ok_or(Code::NotFound)?;
    if user.status != UserStatus::Active {
        return Err(Code::UserNotActive.into());
    }
    let (sessions, life) = (&core.client_sessions, core.impersonation.life);
    let token = sessions.open_acting(&mut tx, core.random, user_id, act, life).await?;
    let begun = user_sessions::Impersonation {
        session_id: token.session_id,
        user_id,
        impersonator_id: Some(act.sub),
        expires_at: token.expires_at,
    };
    let entry = Entry::new(Action::UserImpersonated, Subject::User(user_id));
    audit::record(core, &mut tx, entry.because(reason).made(&begun)).await?;
    let order = Order::of(&EndImpersonation { session_id: token.session_id })?;
    core.jobs.enqueue_all(core, &mut tx, vec![order.at(token.expires_at)]).await?;
    tx.commit().await?;
    Ok(token)
}

/// Makes sure that who acts as a user still may.
///
/// # Errors
/// [`Code::SessionEnded`] if their own session has ended, or they are not permitted to any more.
pub async fn check(core: &Core, act: Act) -> Result<()> {
    let session = core.staff_sessions.check.check(core, act.subject()).await;
    let session = session.map_err(|error| match error.code {
        Code::AccountSuspended => Code::SessionEnded.into(),
        _ => error,
    })?;
    let is_permitted = session.permissions.has(Permission::UsersImpersonate);
    if is_permitted { Ok(()) } else { Err(Code::SessionEnded.into()) }
}

/// Ends the sessions in which a member of the staff acts as a user.
///
/// # Errors
/// [`Code::NotFound`] if there is none.
pub async fn end(core: &Core, origin: &Origin, admin_id: Uuid, user_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let open = user_sessions::open_impersonations(&mut tx, user_id, admin_id, now).await?;
    if open.is_empty() {
        return Err(Code::NotFound.into());
    }
    for session_id in open {
        core.client_sessions.revoke(core, &mut tx, session_id).await?;
    }
    Ok(tx.commit().await?)
}

/// Ends an impersonation whose time is over, unless somebody has, so that its end is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndImpersonation {
    pub session_id: Uuid,
}

impl Job for EndImpersonation {
    const KIND: &'static str = "user.end_impersonation";
}

/// As [`EndImpersonation`] says.
///
/// # Errors
/// When the database fails.
pub async fn end_expired(core: &Core, origin: &Origin, session_id: Uuid) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    core.client_sessions.revoke(core, &mut tx, session_id).await?;
    Ok(tx.commit().await?)
}

/// Records which of these sessions of users, which have just been ended, were impersonations.
///
/// # Errors
/// When the database fails.
pub async fn record_ends(core: &Core, tx: &mut Tx, ended: &[Uuid]) -> Result<()> {
    for session in user_sessions::impersonations(tx, ended).await? {
        let subject = Subject::User(session.user_id);
        let entry = Entry::new(Action::UserImpersonationEnded, subject).removed(&session);
        audit::record(core, tx, entry).await?;
    }
    Ok(())
}
