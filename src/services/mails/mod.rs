//! Mail: written with the change that asks for it, sent soon afterwards, at least once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use chrono::TimeDelta;
use minijinja::{Environment, Value};
use tokio::sync::Notify;

use super::{Core, Result, ServiceError};
use crate::{
    adapters::mailer::{Mail, MailError, Mailer},
    db::{
        Origin, Tx,
        mails::{self, MailRow, NewMail, Outcome},
    },
    telemetry::Chain,
};

/// How long a sender that died keeps its mail from others; longer than any try takes.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// Tries before a mail is given up; with the pauses below they span about six hours.
const MAX_ATTEMPTS: i32 = 12;
/// The pause after the first failure; it doubles each time.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(10);

/// The mails that the product writes. The first line of each text is the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    VerifyEmail,
    AlreadyRegistered,
    ResetPassword,
}

impl Template {
    const ALL: [Self; 3] = [Self::VerifyEmail, Self::AlreadyRegistered, Self::ResetPassword];

    fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email.txt",
            Self::AlreadyRegistered => "already_registered.txt",
            Self::ResetPassword => "reset_password.txt",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::VerifyEmail => include_str!("templates/en/verify_email.txt"),
            Self::AlreadyRegistered => include_str!("templates/en/already_registered.txt"),
            Self::ResetPassword => include_str!("templates/en/reset_password.txt"),
        }
    }
}

/// Writes mails and hands them over.
pub struct Mails {
    pub mailer: Mailer,
    templates: Environment<'static>,
    wake: Arc<Notify>,
    failing: AtomicBool,
    last_handover_ms: AtomicU64,
}

impl Mails {
    /// Reads the templates.
    ///
    /// # Errors
    /// When a template can't be read.
    pub fn new(mailer: Mailer) -> Result<Self> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        for template in Template::ALL {
            templates
                .add_template(template.name(), template.text())
                .map_err(ServiceError::internal)?;
        }
        Ok(Self {
            mailer,
            templates,
            wake: Arc::new(Notify::new()),
            failing: AtomicBool::new(false),
            last_handover_ms: AtomicU64::new(0),
        })
    }

    /// Writes a mail in the transaction: it is sent if, and only if, that commits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue(
        &self,
        core: &Core,
        tx: &mut Tx,
        recipient: &str,
        template: Template,
        values: Value,
    ) -> Result<()> {
        let (subject, body) = self.render(template, values)?;
        let (id, now) = (core.random.id(tx.now), tx.now);
        mails::insert(tx, NewMail { id, recipient, subject: &subject, body: &body, now }).await?;
        let wake = self.wake.clone();
        tx.after_commit(move || wake.notify_one());
        Ok(())
    }

    fn render(&self, template: Template, values: Value) -> Result<(String, String)> {
        let text = self
            .templates
            .get_template(template.name())
            .and_then(|template| template.render(values))
            .map_err(ServiceError::internal)?;
        let (subject, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        Ok((subject.trim().to_owned(), body.to_owned()))
    }

    /// Returns when a mail was written in this process.
    pub async fn written(&self) {
        self.wake.notified().await;
    }

    /// Hands over one mail that is due: whether there was one, and, if so, whether it was sent.
    ///
    /// # Errors
    /// When the database fails; a mail that can't be handed over stays and is tried again.
    pub async fn deliver_next(&self, core: &Core) -> Result<Option<bool>> {
        let mut tx = core.db.begin(&Origin::system("mail")).await?;
        let now = tx.now;
        let taken = mails::claim(&mut tx, LEASE, now).await?;
        tx.commit().await?;
        let Some(mail) = taken else { return Ok(None) };
        if mail.attempts > MAX_ATTEMPTS {
            // Its last tries did not even end in a failure: they took the sender along.
            tracing::error!(mail_id = %mail.id, "a mail is given up: nobody survived sending it");
            let outcome = Outcome::GiveUp("the sender died each time");
            mails::finish(&mut *core.db.conn().await?, mail.id, outcome, now).await?;
            return Ok(Some(false));
        }
        Ok(Some(self.deliver(core, mail).await?))
    }

    async fn deliver(&self, core: &Core, row: MailRow) -> Result<bool> {
        let text = row.body.unwrap_or_default();
        let mail = Mail { id: row.id, recipient: row.recipient, subject: row.subject, text };
        let started = Instant::now();
        let handed_over = self.mailer.send(&mail).await;
        let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_handover_ms.store(took, Ordering::Relaxed);
        let unreachable = matches!(handed_over, Err(MailError::Transport(_)));
        self.failing.store(unreachable, Ordering::Relaxed);

        let now = core.clock.now();
        let why = handed_over.as_ref().err().map(|error| Chain(error).to_string());
        let outcome = match (&handed_over, why.as_deref()) {
            (Err(MailError::Transport(_) | MailError::Refused(_)), Some(why))
                if row.attempts < MAX_ATTEMPTS =>
            {
                tracing::warn!(mail_id = %mail.id, "a mail is tried again later: {why}");
                Outcome::Retry(now + pause(row.attempts), why)
            }
            (Err(_), Some(why)) => {
                tracing::error!(mail_id = %mail.id, "a mail is given up: {why}");
                Outcome::GiveUp(why)
            }
            _ => Outcome::Sent,
        };
        mails::finish(&mut *core.db.conn().await?, mail.id, outcome, now).await?;
        Ok(handed_over.is_ok())
    }

    /// Whether the last handover failed because the server didn't take it.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// How long the last handover took, in milliseconds.
    #[must_use]
    pub fn last_handover_ms(&self) -> u64 {
        self.last_handover_ms.load(Ordering::Relaxed)
    }
}

/// The pause after the given number of tries.
fn pause(attempts: i32) -> TimeDelta {
    let doublings = attempts.clamp(1, MAX_ATTEMPTS) - 1;
    FIRST_PAUSE * (1 << doublings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn templates_have_a_subject_and_carry_their_values() {
        let folder = std::env::temp_dir();
        let mailer = Mailer::outbox("a@example.com", folder).expect("mailer");
        let mails = Mails::new(mailer).expect("templates");
        let values = context! { code => "123456", token => "abc", minutes => 10 };
        for template in Template::ALL {
            let (subject, body) = mails.render(template, values.clone()).expect("renders");
            assert!(!subject.is_empty() && !subject.contains('\n'), "{template:?}");
            assert!(!body.is_empty(), "{template:?}");
        }
        let (_, body) = mails.render(Template::VerifyEmail, values).expect("renders");
        assert!(body.contains("123456"));
        assert!(mails.render(Template::VerifyEmail, context! {}).is_err(), "a value is missing");
    }

    #[test]
    fn pauses_grow() {
        assert_eq!(pause(1), TimeDelta::seconds(10));
        assert_eq!(pause(2), TimeDelta::seconds(20));
        let span: TimeDelta = (1..MAX_ATTEMPTS).map(pause).sum();
        assert!(span > TimeDelta::hours(5), "{span}");
    }
}
