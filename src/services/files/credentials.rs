//! Temporary credentials: whoever uploads much does it by the S3 protocol, within a folder of their own.

use uuid::Uuid;

use super::{
    super::{
        Code, Core, Result,
        audit::{self, Action, Entry, Subject},
    },
    storage,
};
use crate::{
    adapters::storage::Temporary,
    db::{Origin, file_spaces},
};

/// Credentials for the folder where a user's uploads arrive; files are announced and completed as ever.
///
/// # Errors
/// [`Code::NotConfigured`] where no role is, and [`Code::Unavailable`] when the service is down.
pub async fn for_user(core: &Core, origin: &Origin, user_id: Uuid) -> Result<Temporary> {
    let storage = storage(core)?;
    if !storage.gives_credentials() {
        return Err(Code::NotConfigured.into());
    }
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let space = file_spaces::ensure(&mut tx, user_id, id, now).await?;
    tx.commit().await?;
    ask(core, space.id, &format!("uploads/{}/", space.id)).await
}

/// Credentials for a folder of a member of the staff.
///
/// # Errors
/// As of [`for_user`].
pub async fn for_staff(core: &Core, origin: &Origin, admin_id: Uuid) -> Result<Temporary> {
    let given = ask(core, admin_id, &format!("staff/{admin_id}/")).await?;
    let mut tx = core.db.begin(origin).await?;
    let entry = Entry::new(Action::AdminCredentialsGiven, Subject::Admin(admin_id));
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(given)
}

async fn ask(core: &Core, name: Uuid, prefix: &str) -> Result<Temporary> {
    let seconds = core.files.credentials_seconds;
    let given = storage(core)?.temporary(&name.to_string(), prefix, seconds).await?;
    Ok(given.ok_or(Code::NotConfigured)?)
}
