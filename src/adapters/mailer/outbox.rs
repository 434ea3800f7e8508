//! Mails as files in a folder, for development.

use std::{io, path::Path};

use mail_parser::MessageParser;
use uuid::Uuid;

/// Writes and removes a file.
pub(super) async fn check(folder: &Path) -> io::Result<()> {
    let unfinished = folder.join("check.part");
    tokio::fs::write(&unfinished, "").await?;
    tokio::fs::remove_file(&unfinished).await
}

/// Writes a mail, under another name first: it is seen whole or not at all.
pub(super) async fn write(folder: &Path, id: Uuid, message: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!("{id}.part"));
    tokio::fs::write(&unfinished, message).await?;
    tokio::fs::rename(&unfinished, folder.join(format!("{id}.eml"))).await
}

/// A mail as it lies in the outbox.
#[derive(Debug, serde::Serialize)]
pub struct OutboxMail {
    pub id: Uuid,
    pub recipient: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// When it was written, RFC 3339.
    pub date: String,
}

/// Reads an outbox, newest first; files that are not mails are left out.
///
/// # Errors
/// When the folder can't be read.
pub fn read_outbox(folder: &Path) -> io::Result<Vec<OutboxMail>> {
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
                html: message.body_html(0).unwrap_or_default().into_owned(),
                date: message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
            })
        })
        .collect();
    mails.sort_by_key(|mail| std::cmp::Reverse(mail.id));
    Ok(mails)
}
