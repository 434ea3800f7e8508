//! What was done, by whom and to what.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    types::Example,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        csv::{self, CsvFile, CsvRow},
        envelope::{Answer, ApiResponse, Page},
        error::ApiError,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
    },
    db::{
        ActorKind,
        audit_logs::{self, AuditFilter, AuditSort},
    },
    services::{
        Core, audit,
        permissions::{AuditExport, AuditRead},
    },
};

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AuditActor {
    /// Somebody who had not signed in.
    Anonymous,
    User,
    Admin,
    /// The program itself, or an operator at the command line.
    System,
}

impl AuditActor {
    /// As JSON has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User => "user",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }
}

/// What was done once.
#[derive(Debug, Object)]
#[oai(example)]
pub struct AuditLog {
    /// The entry's identifier.
    pub id: Uuid,
    /// When it was done.
    pub created_at: DateTime<Utc>,
    /// What was done, as in `user.suspended`.
    pub action: String,
    /// Who did it.
    pub actor_kind: AuditActor,
    /// That user or admin.
    #[oai(skip_serializing_if_is_none)]
    pub actor_id: Option<Uuid>,
    /// The admin who acted as that user.
    #[oai(skip_serializing_if_is_none)]
    pub impersonator_id: Option<Uuid>,
    /// In which session.
    #[oai(skip_serializing_if_is_none)]
    pub session_id: Option<Uuid>,
    /// Finds the request in the log.
    pub request_id: String,
    /// What kind of thing it was done to, as in `user`.
    #[oai(skip_serializing_if_is_none)]
    pub subject_kind: Option<String>,
    /// Which one of them.
    #[oai(skip_serializing_if_is_none)]
    pub subject_id: Option<String>,
    /// From which address.
    #[oai(skip_serializing_if_is_none)]
    pub ip_address: Option<String>,
    /// With which program, as it says itself.
    #[oai(skip_serializing_if_is_none)]
    pub user_agent: Option<String>,
    /// Why, as whoever did it says.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// What it changed, as that was before.
    #[oai(skip_serializing_if_is_none)]
    pub before: Option<Value>,
    /// The same as it was then.
    #[oai(skip_serializing_if_is_none)]
    pub after: Option<Value>,
    /// When the address, the program, the reason and the values were erased, because an account was.
    #[oai(skip_serializing_if_is_none)]
    pub erased_at: Option<DateTime<Utc>>,
}

impl From<audit_logs::AuditLog> for AuditLog {
    fn from(log: audit_logs::AuditLog) -> Self {
        Self {
            id: log.id,
            created_at: log.created_at,
            action: log.action,
            actor_kind: match log.actor_kind {
                ActorKind::Anonymous => AuditActor::Anonymous,
                ActorKind::User => AuditActor::User,
                ActorKind::Admin => AuditActor::Admin,
                ActorKind::System => AuditActor::System,
            },
            actor_id: log.actor_id,
            impersonator_id: log.impersonator_id,
            session_id: log.session_id,
            request_id: log.request_id,
            subject_kind: log.subject_kind,
            subject_id: log.subject_id,
            ip_address: log.ip_address,
            user_agent: log.user_agent,
            reason: log.reason,
            before: log.before,
            after: log.after,
            erased_at: log.erased_at,
        }
    }
}

/// Operations on the audit log.
pub struct AuditLogsApi;

#[OpenApi(prefix_path = "/audit-logs", tag = "Tag::Audit")]
impl AuditLogsApi {
    /// List the audit log
    ///
    /// One page of what fits all filters. With `subject` it is one thing's history.
    #[oai(path = "/", method = "get", operation_id = "list_audit_logs")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<AuditRead>,
        core: Data<&Arc<Core>>,
        /// Which page, from 1; not with a cursor.
        page: Query<Option<PageNumber>>,
        /// How many a page holds.
        #[oai(default)]
        per_page: Query<PageSize>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<AuditSort>>,
        /// Only what this user or admin did.
        #[oai(example = "an_id")]
        actor_id: Query<Option<Uuid>>,
        /// Only this action.
        #[oai(example = "an_action", validator(max_length = 64, pattern = r"^[a-z_]+\.[a-z_]+$"))]
        action: Query<Option<String>>,
        /// Only what was done to this: its kind, a colon, and its identifier or name.
        #[oai(example = "a_subject", validator(max_length = 200, pattern = r"^[a-z_]+:[^\x00]+$"))]
        subject: Query<Option<String>>,
        /// Only what this request did.
        #[oai(example = "a_request", validator(max_length = 200, pattern = r"^[^\x00]+$"))]
        request_id: Query<Option<String>>,
        /// Only what was done at this time or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only what was done before this time.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Page<AuditLog>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter =
            filter((actor_id.0, action.0, subject.0, request_id.0), (created_from.0, created_to.0));
        let found = audit::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Export the audit log
    ///
    /// All that fits the filters, newest first, as comma-separated values. A text that spreadsheets could take
    /// for a formula is led by an apostrophe.
    #[oai(path = "/export", method = "get", operation_id = "export_audit_logs")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn export(
        &self,
        _auth: RecentStaffAuth<AuditExport>,
        core: Data<&Arc<Core>>,
        /// Only what this user or admin did.
        #[oai(example = "an_id")]
        actor_id: Query<Option<Uuid>>,
        /// Only this action.
        #[oai(example = "an_action", validator(max_length = 64, pattern = r"^[a-z_]+\.[a-z_]+$"))]
        action: Query<Option<String>>,
        /// Only what was done to this: its kind, a colon, and its identifier or name.
        #[oai(example = "a_subject", validator(max_length = 200, pattern = r"^[a-z_]+:[^\x00]+$"))]
        subject: Query<Option<String>>,
        /// Only what this request did.
        #[oai(example = "a_request", validator(max_length = 200, pattern = r"^[^\x00]+$"))]
        request_id: Query<Option<String>>,
        /// Only what was done at this time or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only what was done before this time.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
    ) -> Result<CsvFile, ApiError> {
        let filter =
            filter((actor_id.0, action.0, subject.0, request_id.0), (created_from.0, created_to.0));
        let pages = audit::export(core.0.clone(), filter);
        csv::file::<_, AuditLog>("audit-logs.csv", pages).await
    }

    /// Read an entry of the audit log
    ///
    /// As it was written; of somebody whose account was erased, only that it was done.
    #[oai(path = "/:id", method = "get", operation_id = "get_audit_log")]
    async fn get(
        &self,
        _auth: StaffAuth<AuditRead>,
        core: Data<&Arc<Core>>,
        /// The entry's identifier.
        #[oai(example = "an_entry")]
        id: Path<Uuid>,
    ) -> Answer<AuditLog> {
        Ok(ApiResponse::success(audit::get(core.0, id.0).await?.into()))
    }
}

fn filter(
    (actor_id, action, subject, request_id): (
        Option<Uuid>,
        Option<String>,
        Option<String>,
        Option<String>,
    ),
    (created_from, created_to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
) -> AuditFilter {
    let subject = subject.as_deref().and_then(|subject| subject.split_once(':'));
    let subject = subject.map(|(kind, id)| (kind.to_owned(), id.to_owned()));
    AuditFilter { actor_id, action, subject, request_id, created_from, created_to }
}

impl CsvRow for AuditLog {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "created_at",
        "action",
        "actor_kind",
        "actor_id",
        "impersonator_id",
        "session_id",
        "request_id",
        "subject_kind",
        "subject_id",
        "ip_address",
        "user_agent",
        "reason",
        "before",
        "after",
        "erased_at",
    ];

    fn cells(self) -> Vec<String> {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let json = |value: Option<Value>| value.map(|value| value.to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.created_at.to_rfc3339(),
            self.action,
            self.actor_kind.name().to_owned(),
            id(self.actor_id),
            id(self.impersonator_id),
            id(self.session_id),
            self.request_id,
            self.subject_kind.unwrap_or_default(),
            self.subject_id.unwrap_or_default(),
            self.ip_address.unwrap_or_default(),
            self.user_agent.unwrap_or_default(),
            self.reason.unwrap_or_default(),
            json(self.before),
            json(self.after),
            self.erased_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        ]
    }
}

fn an_entry() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

/// Makes examples of parameters.
macro_rules! examples {
    ($($name:ident: $type:ty = $value:expr),+ $(,)?) => {
        $(
            fn $name() -> Option<$type> {
                Some($value)
            }
        )+
    };
}
examples! {
    an_id: Uuid = an_entry(),
    an_action: String = audit::Action::UserSuspended.name().to_owned(),
    a_subject: String = format!("user:{}", an_entry()),
    a_request: String = an_entry().to_string(),
    a_time: DateTime<Utc> = DateTime::UNIX_EPOCH,
}

impl Example for AuditLog {
    fn example() -> Self {
        Self {
            id: an_entry(),
            created_at: DateTime::UNIX_EPOCH,
            action: audit::Action::UserSuspended.name().to_owned(),
            actor_kind: AuditActor::Admin,
            actor_id: an_id(),
            impersonator_id: an_id(),
            session_id: an_id(),
            request_id: an_entry().to_string(),
            subject_kind: Some("user".to_owned()),
            subject_id: Some(an_entry().to_string()),
            ip_address: Some("203.0.113.7".to_owned()),
            user_agent: Some("Mozilla/5.0".to_owned()),
            reason: Some("Sends spam to other users.".to_owned()),
            before: Some(json!({"status": "active"})),
            after: Some(json!({"status": "suspended"})),
            erased_at: Some(DateTime::UNIX_EPOCH),
        }
    }
}
