//! Users' pictures of themselves.

use uuid::Uuid;

use super::{
    super::{Code, Core, FieldError, Result, ServiceError},
    removal,
};
use crate::db::{
    Origin,
    files::{self, FilePurpose, FileState},
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
        let file = files::find_own(&mut tx, user_id, id).await?;
        let avatar = file.filter(|file| file.purpose == FilePurpose::Avatar);
        let avatar = avatar.ok_or_else(|| {
            let message = "must be one of your files for this purpose";
            ServiceError::invalid(vec![FieldError::new("file_id", "unknown_file", message)])
        })?;
        if avatar.state != FileState::Ready {
            return Err(Code::FileNotReady.into());
        }
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
