//! Mail: written with the change that asks for it, sent soon afterwards, at least once.

mod delivery;
pub mod managed;
mod render;
mod template;

use std::{sync::atomic::AtomicU64, time::Duration};

use minijinja::Value;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Core, Result, ServiceError, jobs::Job};
use crate::{
    adapters::mailer::Mailer,
    db::{
        Tx,
        mails::{self, MailRecord, NewMail},
        users::User,
    },
};
pub use delivery::Delivery;
pub use render::{DEFAULT_LOCALE, Rendered, Templates};
pub use template::Template;

/// A mail that somebody asks for.
pub struct Request<'a> {
    pub recipient: &'a str,
    /// Whose account it is about: it is erased with the account.
    pub user_id: Option<Uuid>,
    pub template: Template,
    /// As in `de-AT`; see [`Templates::render`].
    pub locale: &'a str,
    pub values: Value,
}

/// The language to write to a user in.
#[must_use]
pub fn locale_of(user: &User) -> &str {
    user.locale.as_deref().unwrap_or(DEFAULT_LOCALE)
}

/// Writes mails and hands them over.
pub struct Mails {
    pub mailer: Mailer,
    pub templates: Templates,
    /// `None`: as fast as can be.
    rate_per_second: Option<u32>,
    last_handover_ms: AtomicU64,
}

impl Mails {
    /// Sends no more than `rate_per_second`, over all processes.
    #[must_use]
    pub fn new(mailer: Mailer, rate_per_second: Option<u32>) -> Self {
        Self {
            templates: Templates::new(mailer.product()),
            mailer,
            rate_per_second,
            last_handover_ms: AtomicU64::new(0),
        }
    }

    /// Writes a mail in the transaction: it is sent if, and only if, that commits.
    ///
    /// # Errors
    /// When the database fails, or a value is missing.
    pub async fn queue(&self, core: &Core, tx: &mut Tx, request: Request<'_>) -> Result<()> {
        self.write(core, tx, request, None).await.map(|_| ())
    }

    /// The same, unless there is a mail of this identifier: a job that is done twice names its own.
    ///
    /// # Errors
    /// When the database fails, or a value is missing.
    pub async fn queue_once(
        &self,
        core: &Core,
        tx: &mut Tx,
        id: Uuid,
        request: Request<'_>,
    ) -> Result<()> {
        self.write_as(core, tx, id, request, None).await.map(|_| ())
    }

    async fn write(
        &self,
        core: &Core,
        tx: &mut Tx,
        request: Request<'_>,
        resend_of: Option<Uuid>,
    ) -> Result<MailRecord> {
        let id = core.random.id(tx.now);
        let written = self.write_as(core, tx, id, request, resend_of).await?;
        written.ok_or_else(|| ServiceError::internal("a new identifier was taken"))
    }

    /// The mail, if it is new.
    async fn write_as(
        &self,
        core: &Core,
        tx: &mut Tx,
        id: Uuid,
        request: Request<'_>,
        resend_of: Option<Uuid>,
    ) -> Result<Option<MailRecord>> {
        let Request { recipient, user_id, template, locale, values } = request;
        let Rendered { locale, subject, text, html } =
            self.templates.render(template, locale, &values)?;
        let kept = (!template.holds_secret()).then(|| serde_json::to_value(&values)).transpose();
        let (origin, now) = (tx.origin.clone(), tx.now);
        let new = NewMail {
            id,
            user_id,
            recipient,
            template: template.name(),
            locale: &locale,
            subject: &subject,
            text: &text,
            html: &html,
            values: kept.map_err(ServiceError::internal)?,
            resend_of,
            origin: &origin,
            now,
        };
        let written = mails::insert(tx, new).await?;
        if written.is_some() {
            core.jobs.enqueue(core, tx, &DeliverMail { mail_id: id }).await?;
        }
        Ok(written)
    }
}

/// Hands a mail over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliverMail {
    pub mail_id: Uuid,
}

impl Job for DeliverMail {
    const KIND: &'static str = "mail.deliver";
    const QUEUE: &'static str = "mail";
    const MAX_ATTEMPTS: i32 = delivery::MAX_ATTEMPTS;
    const TIME_LIMIT: Duration = Duration::from_mins(2);
}
