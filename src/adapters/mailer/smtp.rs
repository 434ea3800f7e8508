//! Mail over SMTP, encrypted as the URL says.

use std::time::Duration;

use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor, transport::smtp::Error};

use super::{Cause, MailError};
use crate::telemetry::Chain;

type Client = AsyncSmtpTransport<Tokio1Executor>;

/// How long one step, such as connecting, may take.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// What servers say of themselves or of us, whichever mail it is (RFC 5321, 4.2.3; RFC 4954, 6).
const NOT_OF_THE_MAIL: [u16; 7] = [421, 432, 454, 530, 534, 535, 538];

/// A mail server.
pub(super) struct Smtp(Client);

impl Smtp {
    pub fn new(url: &str) -> Result<Self, MailError> {
        let builder = Client::from_url(url).map_err(MailError::invalid)?;
        Ok(Self(builder.timeout(Some(STEP_LIMIT)).build()))
    }

    /// Connects and signs in.
    pub async fn check(&self) -> Result<(), Cause> {
        match self.0.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the server hung up".into()),
            Err(error) => Err(told(&error)),
        }
    }

    pub async fn send(&self, message: Message) -> Result<(), MailError> {
        let Err(error) = self.0.send(message).await else { return Ok(()) };
        let code = error.status().map(u16::from);
        // A server that works but for this mail has something against it, whatever it calls that: it must
        // not be taken for down, or one mail would keep all others back.
        let is_of_the_mail =
            !code.is_some_and(|code| NOT_OF_THE_MAIL.contains(&code)) && self.check().await.is_ok();
        let why = told(&error);
        Err(match (is_of_the_mail, error.is_client()) {
            (false, _) => MailError::unavailable(why),
            // It can't be sent to this server at all, such as an address that isn't ASCII.
            (true, true) => MailError::Invalid(why),
            (true, false) => MailError::Refused(why),
        })
    }
}

/// A failure for the log: of a server's answer only the codes (RFC 5321, RFC 3463), because its
/// text may repeat whatever it was sent.
fn told(error: &Error) -> Cause {
    let Some(code) = error.status() else { return Chain(error).to_string().into() };
    let is_enhanced = |word: &&str| {
        let mut parts = word.split('.');
        parts.clone().count() == 3 && parts.all(|part| part.parse::<u16>().is_ok())
    };
    let text = Chain(error).to_string();
    let enhanced = text.split_whitespace().find(is_enhanced).unwrap_or_default();
    format!("the server answered {code} {enhanced}").trim_end().into()
}

/// Whether a text is the address of a mail server, as [`Transport::smtp`](super::Transport::smtp) takes it.
#[must_use]
pub fn is_smtp_url(text: &str) -> bool {
    Client::from_url(text).is_ok()
}
