//! Mails that were written, and what became of each. What they said is shown to nobody.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    types::{Email as EmailText, Example},
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, Page},
        idempotency::IdempotencyKey,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::{Email, SearchText},
    },
    db::{
        ActorKind,
        mails::{MailFilter, MailRecord, MailSort, MailState},
    },
    services::{
        Core,
        mails::managed,
        permissions::{MailsRead, MailsWrite},
    },
};

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MailStatus {
    /// It is to be sent, or tried again.
    Pending,
    /// A server has taken it.
    Sent,
    /// It is given up.
    Failed,
}

/// Who asked for a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MailRequester {
    Anonymous,
    User,
    Admin,
    System,
}

/// A mail that was written.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Mail {
    /// Its identifier, which is also the first part of its `Message-ID`.
    pub id: Uuid,
    /// Who gets it.
    pub recipient: EmailText,
    /// The subject.
    pub subject: String,
    /// The template that it was written from; unknown of old mails.
    #[oai(skip_serializing_if_is_none)]
    pub template: Option<String>,
    /// The language that it is written in.
    #[oai(skip_serializing_if_is_none)]
    pub locale: Option<String>,
    /// What became of it.
    pub state: MailStatus,
    /// How often it was tried; not counting when no mail could go at all.
    pub attempts: u32,
    /// Why it was not taken the last time.
    #[oai(skip_serializing_if_is_none)]
    pub last_error: Option<String>,
    /// What has taken it: `smtp`, `brevo` or `outbox`.
    #[oai(skip_serializing_if_is_none)]
    pub transport: Option<String>,
    /// What the provider calls it.
    #[oai(skip_serializing_if_is_none)]
    pub provider_id: Option<String>,
    /// Who asked for it.
    #[oai(skip_serializing_if_is_none)]
    pub requested_by: Option<MailRequester>,
    /// That user or admin.
    #[oai(skip_serializing_if_is_none)]
    pub requested_by_id: Option<Uuid>,
    /// Finds the request in the log.
    #[oai(skip_serializing_if_is_none)]
    pub request_id: Option<String>,
    /// The mail that this one repeats.
    #[oai(skip_serializing_if_is_none)]
    pub resend_of: Option<Uuid>,
    /// Whether it can be sent once more now.
    pub can_resend: bool,
    /// When it was taken.
    #[oai(skip_serializing_if_is_none)]
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When something last became of it.
    pub updated_at: DateTime<Utc>,
}

impl From<MailRecord> for Mail {
    fn from(mail: MailRecord) -> Self {
        Self {
            id: mail.id,
            recipient: EmailText(mail.recipient),
            subject: mail.subject,
            template: mail.template,
            locale: mail.locale,
            state: match mail.state {
                MailState::Pending => MailStatus::Pending,
                MailState::Sent => MailStatus::Sent,
                MailState::Failed => MailStatus::Failed,
            },
            attempts: u32::try_from(mail.attempts).unwrap_or_default(),
            last_error: mail.last_error,
            transport: mail.transport,
            provider_id: mail.provider_id,
            requested_by: mail.requested_by.map(|requester| match requester {
                ActorKind::Anonymous => MailRequester::Anonymous,
                ActorKind::User => MailRequester::User,
                ActorKind::Admin => MailRequester::Admin,
                ActorKind::System => MailRequester::System,
            }),
            requested_by_id: mail.requested_by_id,
            request_id: mail.request_id,
            resend_of: mail.resend_of,
            can_resend: mail.has_values && mail.state != MailState::Pending,
            sent_at: mail.sent_at,
            created_at: mail.created_at,
            updated_at: mail.updated_at,
        }
    }
}

impl From<MailStatus> for MailState {
    fn from(status: MailStatus) -> Self {
        match status {
            MailStatus::Pending => Self::Pending,
            MailStatus::Sent => Self::Sent,
            MailStatus::Failed => Self::Failed,
        }
    }
}

/// To whom to send a test.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct SendTestMailRequest {
    /// Who gets it; yourself unless given.
    pub to: Option<Email>,
}

/// Operations on mails.
pub struct MailsApi;

#[OpenApi(prefix_path = "/mails", tag = "Tag::Mails")]
impl MailsApi {
    /// List mails
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_mails")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<MailsRead>,
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
        sort: Query<SortText<MailSort>>,
        /// Part of the recipient's address, in any case.
        #[oai(example = "ada")]
        q: Query<Option<SearchText>>,
        /// Only mails in this state.
        #[oai(example = "failed")]
        state: Query<Option<MailStatus>>,
        /// Only mails written from this template.
        #[oai(example = "welcome", validator(max_length = 64, pattern = "^[a-z0-9_]+$"))]
        template: Query<Option<String>>,
        /// Only mails written at this time or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only mails written before this time.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Page<Mail>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = MailFilter {
            search: q.0.map(|text| text.0),
            state: state.0.map(Into::into),
            template: template.0,
            created_from: created_from.0,
            created_to: created_to.0,
        };
        let found = managed::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a mail
    ///
    /// What became of it; what it says is not kept.
    #[oai(path = "/:id", method = "get", operation_id = "get_mail")]
    async fn get(
        &self,
        _auth: StaffAuth<MailsRead>,
        core: Data<&Arc<Core>>,
        /// The mail's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<Mail> {
        Ok(ApiResponse::success(managed::get(core.0, id.0).await?.into()))
    }

    /// Send a mail once more
    ///
    /// Writes it anew, as a mail of its own. One that held a code or token can't be repeated: its recipient has
    /// to ask for a new one.
    #[oai(path = "/:id/resend", method = "post", operation_id = "resend_mail")]
    async fn resend(
        &self,
        auth: StaffAuth<MailsWrite>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The mail's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<Mail> {
        let written = managed::resend(core.0, &auth.origin, id.0).await?;
        Ok(ApiResponse::success(written.into()))
    }

    /// Send a test mail
    ///
    /// It goes the way of all mails; read it by its identifier to see what became of it.
    #[oai(path = "/test", method = "post", operation_id = "send_test_mail")]
    async fn test(
        &self,
        auth: StaffAuth<MailsWrite>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<SendTestMailRequest>,
    ) -> Answer<Mail> {
        let to = match body.0.to {
            Some(email) => email.0.as_str().to_owned(),
            None => auth.account(core.0).await?.email,
        };
        let written = managed::send_test(core.0, &auth.origin, &to).await?;
        Ok(ApiResponse::success(written.into()))
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn ada() -> Option<SearchText> {
    Some(SearchText("ada".to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn failed() -> Option<MailStatus> {
    Some(MailStatus::Failed)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn welcome() -> Option<String> {
    Some("welcome".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_time() -> Option<DateTime<Utc>> {
    Some(DateTime::UNIX_EPOCH)
}

impl Example for Mail {
    fn example() -> Self {
        Self {
            id: an_id(),
            recipient: EmailText("ada@example.com".to_owned()),
            subject: "Welcome to Twofold".to_owned(),
            template: Some("welcome".to_owned()),
            locale: Some("en".to_owned()),
            state: MailStatus::Failed,
            attempts: 12,
            last_error: Some("the mail was refused: the server answered 550 5.1.1".to_owned()),
            transport: Some("smtp".to_owned()),
            provider_id: Some("<202611211200.1234567890@smtp-relay.mailin.fr>".to_owned()),
            requested_by: Some(MailRequester::Admin),
            requested_by_id: Some(an_id()),
            request_id: Some("01975b2e-7c40-7000-8000-000000000001".to_owned()),
            resend_of: Some(an_id()),
            can_resend: true,
            sent_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for SendTestMailRequest {
    fn example() -> Self {
        Self { to: Some(Email::example()) }
    }
}
