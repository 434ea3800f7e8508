//! What staff are told of their own account, by mail, so that they learn what somebody else has done with it.

use minijinja::context;
use uuid::Uuid;

use super::{
    Core, Result,
    mails::{DEFAULT_LOCALE, Request, Template},
};
use crate::db::{Tx, admins};

/// Tells a member of the staff something that needs no more words than its template has.
///
/// # Errors
/// When the database fails.
pub(super) async fn send(
    core: &Core,
    tx: &mut Tx,
    admin_id: Uuid,
    template: Template,
) -> Result<()> {
    let Some(admin) = admins::lock(tx, admin_id).await? else { return Ok(()) };
    let (recipient, locale, values) = (&admin.email, DEFAULT_LOCALE, context! {});
    core.mails.queue(core, tx, Request { recipient, user_id: None, template, locale, values }).await
}
