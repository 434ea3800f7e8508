//! Mails as staff see them: what became of each, never what it said.

use minijinja::{Value, context, value::Serde};
use uuid::Uuid;

use super::{DEFAULT_LOCALE, Rendered, Request, Template};
use crate::{
    db::{
        Origin,
        mails::{self, MailFilter, MailRecord, MailSort, MailState},
    },
    services::{
        Code, Core, Result,
        audit::{self, Entry, Subject},
        cursors::{ListRequest, Listed},
    },
};

/// One page of the mails that match: two statements, or one by cursor.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &MailFilter,
    request: ListRequest<MailSort>,
) -> Result<Listed<MailRecord>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let total = reading.total(mails::count(&mut conn, filter)).await?;
    let rows = mails::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, total)
}

/// One mail.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<MailRecord> {
    let mut conn = core.db.conn().await?;
    Ok(mails::find(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// Writes a mail once more, as a mail of its own, and returns that.
///
/// # Errors
/// [`Code::NotFound`], [`Code::MailPending`], or [`Code::MailNotRepeatable`] for one that held a secret: its
/// recipient has to ask for a new one.
pub async fn resend(core: &Core, origin: &Origin, id: Uuid) -> Result<MailRecord> {
    let mut tx = core.db.begin(origin).await?;
    let found = mails::find_with_values(&mut tx, id).await?;
    let (mail, values) = found.ok_or(Code::NotFound)?;
    let template = mail.template.as_deref().and_then(Template::find);
    let (Some(template), Some(values)) = (template, values) else {
        return Err(Code::MailNotRepeatable.into());
    };
    if mail.state == MailState::Pending {
        return Err(Code::MailPending.into());
    }
    let request = Request {
        recipient: &mail.recipient,
        user_id: mail.user_id,
        template,
        locale: mail.locale.as_deref().unwrap_or(DEFAULT_LOCALE),
        values: Value::from(Serde(values)),
    };
    let written = core.mails.write(core, &mut tx, request, Some(id)).await?;
    let entry = Entry::new(audit::Action::MailResent, Subject::Mail(id)).made(&written);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(written)
}

/// Writes a mail that says that mail works.
///
/// # Errors
/// When the database fails.
pub async fn send_test(core: &Core, origin: &Origin, to: &str) -> Result<MailRecord> {
    let mut tx = core.db.begin(origin).await?;
    let request = Request {
        recipient: to,
        user_id: None,
        template: Template::Test,
        locale: DEFAULT_LOCALE,
        values: context! {},
    };
    let written = core.mails.write(core, &mut tx, request, None).await?;
    let entry = Entry::new(audit::Action::MailTested, Subject::Mail(written.id));
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(written)
}

/// A template as it looks with its sample, in this locale or the nearest.
///
/// # Errors
/// [`Code::NotFound`].
pub fn preview(core: &Core, name: &str, locale: &str) -> Result<Rendered> {
    let template = Template::find(name).ok_or(Code::NotFound)?;
    core.mails.templates.render_sample(template, locale)
}
