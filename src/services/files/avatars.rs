//! Users' pictures of themselves.

use uuid::Uuid;

use super::{
    super::{Code, Core, Result},
    Wanted, removal, require,
};
use crate::db::{
    Origin,
    files::{self, FilePurpose},
    users::{self, User},
};

/// Gives a user another picture, one of their own files, or none; the one before is deleted.
///
/// # Errors
/// [`Code::ValidationFailed`] where it is none of their avatars, [`Code::FileNotReady`].
pub async fn set(
    core: &Core,
    origin: &Origin,
    user_id: Uuid,
    file_id: Option<Uuid>,
) -> Result<User> {
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let user = users::lock(&mut tx, user_id).await?.ok_or(Code::SessionEnded)?;
    if let Some(id) = file_id {
        let (purpose, field) = (FilePurpose::Avatar, "file_id".to_owned());
        require(&mut tx, user_id, &[Wanted { id, purpose, field }]).await?;
    }
    if user.avatar_id == file_id {
        return Ok(user);
    }
    let changed = users::set_avatar(&mut tx, user_id, file_id, now).await?;
    if let Some(old) = user.avatar_id {
        let gone = files::delete_own(&mut tx, user_id, old).await?;
        removal::clear(core, &mut tx, &gone).await?;
    }
    tx.commit().await?;
    Ok(changed)
}
