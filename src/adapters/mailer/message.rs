//! What goes over the wire: checked, so that no value can add a recipient or a header.

use lettre::{
    Address, Message,
    message::{Mailbox, MultiPart, SinglePart, header::ContentType},
};

use super::{Mail, MailError};

/// A mail whose recipient and subject are one each.
pub(super) struct Letter<'a> {
    pub from: &'a Mailbox,
    pub to: Address,
    pub mail: &'a Mail,
}

impl<'a> Letter<'a> {
    /// # Errors
    /// [`MailError::Invalid`] for a recipient that is anything but one bare address, and for a subject that is
    /// or holds more than one line.
    pub fn new(from: &'a Mailbox, mail: &'a Mail) -> Result<Self, MailError> {
        // Inside quotes nearly everything is legal (RFC 5322, 3.4.1), and servers read it differently.
        if mail.recipient.contains('"') {
            return Err(MailError::invalid("the recipient is no bare address"));
        }
        // An encoded word (RFC 2047, 2) would be decoded by who reads the mail, line ends and all.
        if mail.subject.contains(char::is_control) || mail.subject.contains("=?") {
            return Err(MailError::invalid("the subject is no line of text"));
        }
        let to = mail.recipient.parse::<Address>().map_err(MailError::invalid)?;
        Ok(Self { from, to, mail })
    }

    /// The same for the same mail, whoever hands it over and however often.
    pub fn message_id(&self) -> String {
        format!("<{}@{}>", self.mail.id, self.from.email.domain())
    }

    /// As SMTP transports it (RFC 5322), with the HTML beside the text (RFC 2046, 5.1.4).
    ///
    /// # Errors
    /// [`MailError::Invalid`].
    pub fn message(&self) -> Result<Message, MailError> {
        let builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, self.to.clone()))
            .subject(&self.mail.subject)
            .message_id(Some(self.message_id()));
        let text = self.mail.text.clone();
        match &self.mail.html {
            Some(html) => builder.multipart(
                MultiPart::alternative()
                    .singlepart(SinglePart::plain(text))
                    .singlepart(SinglePart::html(html.clone())),
            ),
            None => builder.header(ContentType::TEXT_PLAIN).body(text),
        }
        .map_err(MailError::invalid)
    }
}
