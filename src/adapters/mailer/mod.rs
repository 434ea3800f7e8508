//! Hands mail over: by SMTP, by Brevo's API, or into a folder that serves as an outbox in development. What one
//! way can't take for now, the next one gets.

mod brevo;
mod message;
mod outbox;
mod smtp;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use lettre::message::Mailbox;
use uuid::Uuid;

use super::clock::Clock;
use brevo::Brevo;
pub use brevo::BrevoOptions;
use message::Letter;
pub use outbox::{OutboxMail, read_outbox};
use smtp::Smtp;
pub use smtp::is_smtp_url;

/// How long a way is left alone after it took nothing.
const REST: Duration = Duration::from_secs(10);
/// The longest rest that a provider may ask for.
const LONGEST_REST: Duration = Duration::from_hours(1);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a mail could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// This mail can never be sent: trying again is of no use.
    #[error("the mail is not valid")]
    Invalid(#[source] Cause),
    /// This mail isn't taken, but maybe others are.
    #[error("the mail was refused")]
    Refused(#[source] Cause),
    /// Nothing can be reached, or takes any mail for now.
    #[error("the mail could not be handed over")]
    Unavailable {
        #[source]
        why: Cause,
        /// When it is worth trying again, if that is known.
        retry_after: Option<Duration>,
    },
}

impl MailError {
    fn invalid(why: impl Into<Cause>) -> Self {
        Self::Invalid(why.into())
    }

    fn unavailable(why: impl Into<Cause>) -> Self {
        Self::Unavailable { why: why.into(), retry_after: None }
    }
}

/// A mail to one person.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Makes the `Message-ID`, so that a mail sent twice after a crash is seen as one.
    pub id: Uuid,
    /// A bare address.
    pub recipient: String,
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
}

/// Who has taken a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The name of the way, such as `smtp`.
    pub transport: &'static str,
    /// What the provider calls the mail, if it says so.
    pub provider_id: Option<String>,
}

/// One way to send.
pub struct Transport(Kind);

enum Kind {
    Smtp(Smtp),
    Brevo(Box<Brevo>),
    Outbox(PathBuf),
}

impl Transport {
    /// A mail server; `url` as `smtp://`, `smtps://` (lettre's syntax, `?tls=required` for STARTTLS).
    ///
    /// # Errors
    /// When the URL can't be read.
    pub fn smtp(url: &str) -> Result<Self, MailError> {
        Ok(Self(Kind::Smtp(Smtp::new(url)?)))
    }

    /// Brevo's HTTP API.
    ///
    /// # Errors
    /// When the key or the URL is of no use, or this machine knows no authorities of certificates.
    pub fn brevo(options: &BrevoOptions) -> Result<Self, MailError> {
        Ok(Self(Kind::Brevo(Brevo::new(options)?.into())))
    }

    /// Writes each mail as `<id>.eml` into `folder`, which must exist.
    #[must_use]
    pub fn outbox(folder: PathBuf) -> Self {
        Self(Kind::Outbox(folder))
    }

    fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Smtp(_) => "smtp",
            Kind::Brevo(_) => "brevo",
            Kind::Outbox(_) => "outbox",
        }
    }

    async fn check(&self) -> Result<(), Cause> {
        match &self.0 {
            Kind::Smtp(smtp) => smtp.check().await,
            Kind::Brevo(brevo) => brevo.check().await,
            Kind::Outbox(folder) => Ok(outbox::check(folder).await?),
        }
    }

    /// Hands a mail over; the provider's identifier of it, if there is one.
    async fn send(&self, letter: &Letter<'_>) -> Result<Option<String>, MailError> {
        match &self.0 {
            Kind::Smtp(smtp) => smtp.send(letter.message()?).await.map(|()| None),
            Kind::Brevo(brevo) => brevo.send(letter).await.map(Some),
            Kind::Outbox(folder) => {
                let message = letter.message()?.formatted();
                let written = outbox::write(folder, letter.mail.id, &message).await;
                written.map(|()| None).map_err(MailError::unavailable)
            }
        }
    }
}

/// A way to send, and whether it is left alone.
struct Route {
    transport: Transport,
    resting: Mutex<Option<Resting>>,
}

/// Why a way took nothing, and until when it is left alone.
#[derive(Clone)]
struct Resting {
    until: DateTime<Utc>,
    why: String,
}

impl Route {
    /// Since it took nothing the last time.
    fn resting(&self) -> Option<Resting> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands a mail over; `None` when no mail is taken here for now.
    async fn send(&self, letter: &Letter<'_>, clock: &Clock) -> Option<Result<Receipt, MailError>> {
        if self.resting().is_some_and(|resting| resting.until > clock.now()) {
            return None;
        }
        let transport = self.transport.name();
        let sent = self.transport.send(letter).await;
        let (outcome, resting) = match sent {
            Err(MailError::Unavailable { why, retry_after }) => {
                tracing::warn!("{transport} takes no mail: {why}");
                let rest = retry_after.unwrap_or(REST).clamp(REST, LONGEST_REST);
                let until = clock.now() + TimeDelta::from_std(rest).unwrap_or_default();
                (None, Some(Resting { until, why: format!("{transport}: {why}") }))
            }
            sent => (Some(sent.map(|provider_id| Receipt { transport, provider_id })), None),
        };
        *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = resting;
        outcome
    }
}

/// The configured ways to send.
pub struct Mailer {
    from: Mailbox,
    routes: Vec<Route>,
    clock: Clock,
}

impl Mailer {
    /// Sends as `from` by the first of these ways that takes mail.
    ///
    /// # Errors
    /// When the address of the sender can't be read.
    pub fn new(from: &str, transports: Vec<Transport>, clock: Clock) -> Result<Self, MailError> {
        let from = from.parse::<Mailbox>().map_err(MailError::invalid)?;
        let route = |transport| Route { transport, resting: Mutex::default() };
        Ok(Self { from, routes: transports.into_iter().map(route).collect(), clock })
    }

    /// What mails call the product: the sender's name, or else the domain of the address.
    #[must_use]
    pub fn product(&self) -> &str {
        self.from.name.as_deref().unwrap_or_else(|| self.from.email.domain())
    }

    /// The outbox's folder, if that is how mail is sent.
    #[must_use]
    pub fn outbox_folder(&self) -> Option<&Path> {
        self.routes.iter().find_map(|route| match &route.transport.0 {
            Kind::Outbox(folder) => Some(folder.as_path()),
            _ => None,
        })
    }

    /// Whether each way takes mail now, by its name; hands none over.
    pub async fn check(&self) -> Vec<(&'static str, Result<(), Cause>)> {
        let mut found = Vec::new();
        for Route { transport, .. } in &self.routes {
            found.push((transport.name(), transport.check().await));
        }
        found
    }

    /// Whether one of the ways took nothing the last time.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.routes.iter().any(|route| route.resting().is_some())
    }

    /// How long no way is tried any more, because none took anything a moment ago.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        let now = self.clock.now();
        let rest = |route: &Route| route.resting().and_then(|it| (it.until - now).to_std().ok());
        self.routes.iter().map(rest).collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Hands one mail over. A way that took nothing is left alone for a moment, so that a server that is down
    /// isn't asked once for each mail.
    ///
    /// # Errors
    /// [`MailError::Invalid`] when no try will succeed; the others are worth another one, after a moment or
    /// longer. What one way refuses, the next one doesn't get: that would get round what providers know of
    /// addresses.
    pub async fn send(&self, mail: &Mail) -> Result<Receipt, MailError> {
        let letter = Letter::new(&self.from, mail)?;
        for route in &self.routes {
            if let Some(outcome) = route.send(&letter, &self.clock).await {
                return outcome;
            }
        }
        let reasons: Vec<String> =
            self.routes.iter().filter_map(Route::resting).map(|resting| resting.why).collect();
        Err(MailError::Unavailable { why: reasons.join("; ").into(), retry_after: self.pause() })
    }
}
