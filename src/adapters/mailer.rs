//! Sends mail: over SMTP, or into a folder that serves as an outbox in development.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use mail_parser::MessageParser;
use uuid::Uuid;

use crate::telemetry::Chain;

/// Why a mail could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// This mail can never be sent: trying again is of no use.
    #[error("the mail is not valid")]
    Invalid(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server doesn't take this mail, but maybe others (RFC 5321, 4.2.3: 55x).
    #[error("the mail was refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server can't be reached, or takes no mail for now.
    #[error("the mail could not be handed over")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A mail to one person, in plain text.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Makes the `Message-ID`, so that a mail sent twice after a crash is seen as one.
    pub id: Uuid,
    pub recipient: String,
    pub subject: String,
    pub text: String,
}

enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Outbox(PathBuf),
}

/// The configured way to send.
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

impl Mailer {
    /// Sends over SMTP; `url` as `smtp://`, `smtps://` (lettre's syntax, `?tls=required` for STARTTLS).
    ///
    /// # Errors
    /// When the address of the sender or the URL can't be read.
    pub fn smtp(from: &str, url: &str) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|e| MailError::Invalid(e.into()))?
            .timeout(Some(Duration::from_secs(10)))
            .build();
        Ok(Self { from: mailbox(from)?, transport: Transport::Smtp(transport) })
    }

    /// Writes each mail as `<id>.eml` into `folder`, which must exist.
    ///
    /// # Errors
    /// When the address of the sender can't be read.
    pub fn outbox(from: &str, folder: PathBuf) -> Result<Self, MailError> {
        Ok(Self { from: mailbox(from)?, transport: Transport::Outbox(folder) })
    }

    /// The outbox's folder, if that is how mail is sent.
    #[must_use]
    pub fn outbox_folder(&self) -> Option<&Path> {
        match &self.transport {
            Transport::Outbox(folder) => Some(folder),
            Transport::Smtp(_) => None,
        }
    }

    /// Whether mail can be handed over now, without handing any over.
    ///
    /// # Errors
    /// [`MailError::Transport`] with the cause.
    pub async fn check(&self) -> Result<(), MailError> {
        match &self.transport {
            Transport::Smtp(smtp) => match smtp.test_connection().await {
                Ok(true) => Ok(()),
                Ok(false) => Err(MailError::Transport("the server hung up".into())),
                Err(error) => Err(MailError::Transport(error.into())),
            },
            Transport::Outbox(folder) => {
                let unfinished = folder.join("check.part");
                let write = async {
                    tokio::fs::write(&unfinished, "").await?;
                    tokio::fs::remove_file(&unfinished).await
                };
                write.await.map_err(|e: std::io::Error| MailError::Transport(e.into()))
            }
        }
    }

    /// Hands one mail over.
    ///
    /// # Errors
    /// [`MailError::Invalid`] when no try will succeed; the others are worth another one.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message_id = format!("<{}@{}>", mail.id, self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(mailbox(&mail.recipient)?)
            .subject(&mail.subject)
            .message_id(Some(message_id))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|e| MailError::Invalid(e.into()))?;
        match &self.transport {
            Transport::Smtp(smtp) => match smtp.send(message).await {
                Ok(_) => Ok(()),
                // The mail itself can't be sent at all. Whatever a server refuses, be it with a
                // 5xx, may be its own fault or that of our settings: it is tried again.
                Err(e) if e.is_client() => Err(MailError::Invalid(e.into())),
                Err(e) => match e.status().map(u16::from) {
                    Some(code) if (550..560).contains(&code) => Err(MailError::Refused(told(&e))),
                    _ => Err(MailError::Transport(told(&e))),
                },
            },
            Transport::Outbox(folder) => {
                // Under another name first: a mail is seen whole or not at all.
                let (unfinished, done) = (
                    folder.join(format!("{}.part", mail.id)),
                    folder.join(format!("{}.eml", mail.id)),
                );
                let write = async {
                    tokio::fs::write(&unfinished, message.formatted()).await?;
                    tokio::fs::rename(&unfinished, &done).await
                };
                write.await.map_err(|e: std::io::Error| MailError::Transport(e.into()))
            }
        }
    }
}

/// A failure for the log: of a server's answer only the codes (RFC 5321, RFC 3463), because its
/// text may repeat whatever it was sent.
fn told(error: &lettre::transport::smtp::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let Some(code) = error.status() else { return Chain(error).to_string().into() };
    let is_enhanced = |word: &&str| {
        let mut parts = word.split('.');
        parts.clone().count() == 3 && parts.all(|part| part.parse::<u16>().is_ok())
    };
    let text = Chain(error).to_string();
    let enhanced = text.split_whitespace().find(is_enhanced).unwrap_or_default();
    format!("the server answered {code} {enhanced}").trim_end().into()
}

/// Whether a text is the address of a mail server, as [`Mailer::smtp`] takes it.
#[must_use]
pub fn is_smtp_url(text: &str) -> bool {
    AsyncSmtpTransport::<Tokio1Executor>::from_url(text).is_ok()
}

fn mailbox(address: &str) -> Result<Mailbox, MailError> {
    address.parse().map_err(|e: lettre::address::AddressError| MailError::Invalid(e.into()))
}

/// A mail as it lies in the outbox.
#[derive(Debug, serde::Serialize)]
pub struct OutboxMail {
    pub id: Uuid,
    pub recipient: String,
    pub subject: String,
    pub text: String,
    /// When it was written, RFC 3339.
    pub date: String,
}

/// Reads an outbox, newest first; files that are not mails are left out.
///
/// # Errors
/// When the folder can't be read.
pub fn read_outbox(folder: &Path) -> std::io::Result<Vec<OutboxMail>> {
    let mut mails: Vec<OutboxMail> = std::fs::read_dir(folder)?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let id = path.file_name()?.to_str()?.strip_suffix(".eml")?.parse().ok()?;
            let raw = std::fs::read(&path).ok()?;
            let message = MessageParser::default().parse(&raw)?;
            Some(OutboxMail {
                id,
                recipient: message.to()?.first()?.address()?.to_owned(),
                subject: message.subject()?.to_owned(),
                text: message.body_text(0)?.into_owned(),
                date: message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
            })
        })
        .collect();
    mails.sort_by_key(|mail| std::cmp::Reverse(mail.id));
    Ok(mails)
}
