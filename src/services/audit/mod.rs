//! The audit log: what was done, by whom and to what, written in the transaction that does it.

mod chain;
pub mod seals;
mod snapshots;
pub mod verify;

use std::sync::Arc;

use futures_util::Stream;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Code, Core, Result,
    cursors::{ListRequest, Listed},
    export,
};
use crate::db::{
    Actor, Tx,
    audit_logs::{self, AuditFilter, AuditLog, AuditSort, NewAuditLog},
    keyset::Sort,
};

pub use chain::ChainKeys;
pub use snapshots::Snapshot;

/// How the log is sealed, and for how long it is kept.
pub struct Audit {
    pub keys: ChainKeys,
    pub months_kept: u32,
}

/// The longest `User-Agent` that is kept, in characters.
const MAX_USER_AGENT: usize = 512;

/// Declares [`Action`] with what rows and callers call each.
macro_rules! actions {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// What can be done that is recorded: its subject, and what became of that.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($name),+ }

        impl Action {
            /// All that there are.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As rows have it; never changed.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

actions! {
    UserCreated = "user.created",
    UserUpdated = "user.updated",
    UserVerified = "user.verified",
    UserCodeResent = "user.code_resent",
    UserPasswordResetForced = "user.password_reset_forced",
    UserSessionEnded = "user.session_ended",
    UserSessionsEnded = "user.sessions_ended",
    UserDeleted = "user.deleted",
    UserRestored = "user.restored",
    UserNoteWritten = "user.note_written",
    UserNoteDeleted = "user.note_deleted",
    UserImpersonated = "user.impersonated",
    UserImpersonationEnded = "user.impersonation_ended",
    UserFilePreviewed = "user.file_previewed",
    UserFileDeleted = "user.file_deleted",
    UserExported = "user.exported",
    UserSuspended = "user.suspended",
    UserReactivated = "user.reactivated",
    UserPasswordChanged = "user.password_changed",
    UserPasswordReset = "user.password_reset",
    UserEmailChanged = "user.email_changed",
    UserFactorEnabled = "user.factor_enabled",
    UserFactorDisabled = "user.factor_disabled",
    UserRecoveryCodesRenewed = "user.recovery_codes_renewed",
    UserRefreshTokenReused = "user.refresh_token_reused",
    UserDeletionRequested = "user.deletion_requested",
    UserDeletionCancelled = "user.deletion_cancelled",
    UserErased = "user.erased",
    PostHidden = "post.hidden",
    PostRestored = "post.restored",
    PostErased = "post.erased",
    PostCommentDeleted = "post.comment_deleted",
    ReportResolved = "report.resolved",
    ReportDismissed = "report.dismissed",
    AdminCreated = "admin.created",
    AdminUpdated = "admin.updated",
    AdminDeactivated = "admin.deactivated",
    AdminReactivated = "admin.reactivated",
    AdminDeleted = "admin.deleted",
    AdminSignedIn = "admin.signed_in",
    AdminSignInFailed = "admin.sign_in_failed",
    AdminStepUpFailed = "admin.step_up_failed",
    AdminSignedOut = "admin.signed_out",
    AdminPasswordChanged = "admin.password_changed",
    AdminPasswordReset = "admin.password_reset",
    AdminPasswordResetForced = "admin.password_reset_forced",
    AdminSessionEnded = "admin.session_ended",
    AdminSessionsEnded = "admin.sessions_ended",
    AdminFactorEnabled = "admin.factor_enabled",
    AdminFactorDisabled = "admin.factor_disabled",
    AdminCredentialsGiven = "admin.storage_credentials_given",
    AdminRecoveryCodesRenewed = "admin.recovery_codes_renewed",
    AdminRefreshTokenReused = "admin.refresh_token_reused",
    InvitationCreated = "invitation.created",
    InvitationResent = "invitation.resent",
    InvitationRevoked = "invitation.revoked",
    InvitationAccepted = "invitation.accepted",
    RoleCreated = "role.created",
    RoleUpdated = "role.updated",
    RoleDeleted = "role.deleted",
    SettingChanged = "setting.changed",
    JobRetried = "job.retried",
    JobCancelled = "job.cancelled",
    JobDiscarded = "job.discarded",
    QueuePaused = "queue.paused",
    QueueResumed = "queue.resumed",
    ScheduleEnabled = "schedule.enabled",
    ScheduleDisabled = "schedule.disabled",
    ScheduleRun = "schedule.run",
    MailResent = "mail.resent",
    MailTested = "mail.tested",
}

/// What something was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    User(Uuid),
    Post(Uuid),
    Report(Uuid),
    Admin(Uuid),
    Invitation(Uuid),
    Role(Uuid),
    Job(Uuid),
    Mail(Uuid),
    Queue(&'a str),
    Schedule(&'a str),
    Setting(&'a str),
}

impl Subject<'_> {
    /// As rows have it; never changed.
    const fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Post(_) => "post",
            Self::Report(_) => "report",
            Self::Admin(_) => "admin",
            Self::Invitation(_) => "invitation",
            Self::Role(_) => "role",
            Self::Job(_) => "job",
            Self::Mail(_) => "mail",
            Self::Queue(_) => "queue",
            Self::Schedule(_) => "schedule",
            Self::Setting(_) => "setting",
        }
    }

    fn id(self) -> String {
        match self {
            Self::User(id)
            | Self::Post(id)
            | Self::Report(id)
            | Self::Admin(id)
            | Self::Invitation(id)
            | Self::Role(id)
            | Self::Job(id)
            | Self::Mail(id) => id.to_string(),
            Self::Queue(name) | Self::Schedule(name) | Self::Setting(name) => name.to_owned(),
        }
    }
}

/// What is to be recorded. Who does it, from where and in which session is the transaction's origin.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    action: Action,
    subject: Option<Subject<'a>>,
    actor: Option<(Actor, Option<Uuid>)>,
    reason: Option<&'a str>,
    before: Option<Value>,
    after: Option<Value>,
}

impl<'a> Entry<'a> {
    #[must_use]
    pub fn new(action: Action, subject: impl Into<Option<Subject<'a>>>) -> Self {
        let subject = subject.into();
        Self { action, subject, actor: None, reason: None, before: None, after: None }
    }

    /// Somebody whom the request has made known only now, in their new session.
    #[must_use]
    pub fn by(self, actor: Actor, session_id: Option<Uuid>) -> Self {
        Self { actor: Some((actor, session_id)), ..self }
    }

    #[must_use]
    pub fn because(self, reason: &'a str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// What of it is different now.
    #[must_use]
    pub fn changed<S: Snapshot>(self, before: &S, after: &S) -> Self {
        let (mut before, mut after) = (before.snapshot(), after.snapshot());
        let (old, new) = (before.clone(), after.clone());
        before.retain(|name, value| new.get(name) != Some(value));
        after.retain(|name, value| old.get(name) != Some(value));
        self.with(Some(before), Some(after))
    }

    /// What it is now that it is there.
    #[must_use]
    pub fn made(self, after: &impl Snapshot) -> Self {
        self.with(None, Some(after.snapshot()))
    }

    /// What it was when it was there.
    #[must_use]
    pub fn removed(self, before: &impl Snapshot) -> Self {
        self.with(Some(before.snapshot()), None)
    }

    fn with(self, before: Option<Map<String, Value>>, after: Option<Map<String, Value>>) -> Self {
        Self { before: before.map(Value::Object), after: after.map(Value::Object), ..self }
    }
}

/// Records what the transaction does.
///
/// # Errors
/// When the database fails.
pub async fn record(core: &Core, tx: &mut Tx, entry: Entry<'_>) -> Result<()> {
    let (actor, session_id) = entry.actor.unwrap_or((tx.origin.actor, tx.origin.session_id));
    let subject = entry.subject.map(|subject| (subject.kind(), subject.id()));
    let agent = tx.origin.user_agent.as_deref();
    let user_agent = agent.map(|text| text.chars().take(MAX_USER_AGENT).collect::<String>());
    let new = NewAuditLog {
        id: core.random.id(tx.now),
        actor_kind: actor.kind(),
        actor_id: actor.account_id(),
        session_id,
        action: entry.action.name(),
        subject: subject.as_ref().map(|(kind, id)| (*kind, id.as_str())),
        user_agent: user_agent.as_deref(),
        reason: entry.reason,
        before: entry.before.as_ref(),
        after: entry.after.as_ref(),
    };
    Ok(audit_logs::insert(tx, new).await?)
}

/// One page of what matches: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &AuditFilter,
    request: ListRequest<AuditSort>,
) -> Result<Listed<AuditLog>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(audit_logs::count(&mut conn, filter)).await?;
    let rows = audit_logs::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// All that matches, newest first, a window after the other.
pub fn export(
    core: Arc<Core>,
    filter: AuditFilter,
) -> impl Stream<Item = Result<Vec<AuditLog>>> + Send {
    let filter = Arc::new(filter);
    export::pages(Sort::by_default(), move |window| {
        let (core, filter) = (core.clone(), filter.clone());
        async move {
            let mut conn = core.db.conn().await?;
            Ok(audit_logs::list(&mut conn, &filter, &window).await?)
        }
    })
}

/// One entry.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<AuditLog> {
    let mut conn = core.db.conn().await?;
    Ok(audit_logs::find(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// Makes the partitions of this month and the next ones.
///
/// # Errors
/// When the database fails.
pub async fn make_partitions(core: &Core) -> Result<()> {
    /// Entries make what is missing, but only this doesn't keep anybody waiting.
    const AHEAD: u32 = 3;
    let (mut conn, now) = (core.db.conn().await?, core.clock.now());
    for month in 0..=AHEAD {
        let moment = now.checked_add_months(chrono::Months::new(month)).unwrap_or(now);
        audit_logs::make_partition(&mut conn, moment).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn actions_are_named_once_and_by_their_subject() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        let is_part = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        for name in names {
            let (subject, done) = name.split_once('.').expect("a subject");
            assert!(is_part(subject) && is_part(done), "{name}");
        }
    }
}
