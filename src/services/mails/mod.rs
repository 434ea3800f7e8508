//! Mail: written with the change that asks for it, sent soon afterwards, at least once.

mod delivery;
pub mod managed;
mod render;
mod template;

use std::sync::{Arc, atomic::AtomicU64};

use minijinja::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Core, Result, ServiceError};
use crate::{
    adapters::mailer::Mailer,
    db::{
        Tx,
        mails::{self, MailRecord, NewMail},
    },
};
pub use delivery::Delivery;
pub use render::{DEFAULT_LOCALE, Rendered, Templates};
pub use template::Template;

/// A mail that somebody asks for.
pub struct Request<'a> {
    pub recipient: &'a str,
    pub template: Template,
    /// As in `de-AT`; see [`Templates::render`].
    pub locale: &'a str,
    pub values: Value,
}

/// Writes mails and hands them over.
pub struct Mails {
    pub mailer: Mailer,
    pub templates: Templates,
    /// `None`: as fast as can be.
    rate_per_second: Option<u32>,
    wake: Arc<Notify>,
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
            wake: Arc::new(Notify::new()),
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

    /// The same, perhaps again.
    async fn write(
        &self,
        core: &Core,
        tx: &mut Tx,
        request: Request<'_>,
        resend_of: Option<Uuid>,
    ) -> Result<MailRecord> {
        let Request { recipient, template, locale, values } = request;
        let Rendered { locale, subject, text, html } =
            self.templates.render(template, locale, &values)?;
        let kept = (!template.holds_secret()).then(|| serde_json::to_value(&values)).transpose();
        let (origin, now) = (tx.origin.clone(), tx.now);
        let new = NewMail {
            id: core.random.id(now),
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
        let wake = self.wake.clone();
        tx.after_commit(move || wake.notify_one());
        Ok(written)
    }

    /// Returns when a mail was written in this process.
    pub async fn written(&self) {
        self.wake.notified().await;
    }
}
