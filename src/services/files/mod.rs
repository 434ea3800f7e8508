//! Files of users: their bytes are objects in the storage, which apps upload and download without a detour.
//!
//! A file is announced (`uploads::create`), uploaded to an object that only this upload writes, and then taken
//! (`uploads::complete`): its bytes are copied to where nobody but the server writes, looked at there, and the file is
//! ready. So what was looked at is what stays. What goes through the server (`uploads::receive`) is looked at as it
//! passes; large files come in parts (`parts`); pictures for everybody are made of what was uploaded (`pictures`). Keys
//! of objects are made of identifiers alone: `uploads/` and the user's folder, `files/` and the file's identifier.

pub mod avatars;
pub mod credentials;
mod kinds;
pub mod managed;
pub mod parts;
pub mod pictures;
mod policy;
pub mod removal;
pub mod strays;
pub mod uploads;

use uuid::Uuid;

use super::{
    Code, Core, FieldError, Result, ServiceError,
    cursors::{ListRequest, Listed},
};
use crate::{
    adapters::storage::{Presigned, Storage},
    db::{
        Tx,
        files::{self, File, FilePurpose, FileSort, FileState, OwnFileFilter},
    },
};

pub use kinds::FileType;
pub use policy::{Announced, Files, Policy};

/// The storage.
///
/// # Errors
/// [`Code::NotConfigured`]
fn storage(core: &Core) -> Result<&Storage> {
    Ok(core.storage.as_ref().ok_or(Code::NotConfigured)?)
}

/// The storage, if it was there a moment ago.
///
/// # Errors
/// [`Code::NotConfigured`], [`Code::Unavailable`]
async fn present_storage(core: &Core) -> Result<&Storage> {
    let storage = storage(core)?;
    if core.health.has_storage(core).await { Ok(storage) } else { Err(Code::Unavailable.into()) }
}

/// One page of a user's own files: one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: OwnFileFilter,
    request: ListRequest<FileSort>,
) -> Result<Listed<File>> {
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let rows = files::list_own(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, None)
}

/// One of a user's own files.
///
/// # Errors
/// [`Code::NotFound`], also for another user's.
pub async fn get(core: &Core, user_id: Uuid, id: Uuid) -> Result<File> {
    let mut conn = core.db.conn().await?;
    Ok(files::find_own(&mut conn, user_id, id).await?.ok_or(Code::NotFound)?)
}

/// A file that somebody wants to use.
pub(super) struct Wanted {
    pub id: Uuid,
    pub purpose: FilePurpose,
    /// What callers call it.
    pub field: String,
}

/// Makes sure that a user can use these files, and that they are there until the transaction ends.
///
/// # Errors
/// [`Code::ValidationFailed`] for what is none of the user's files for this purpose, [`Code::FileNotReady`].
pub(super) async fn require(tx: &mut Tx, user_id: Uuid, wanted: &[Wanted]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = wanted.iter().map(|file| file.id).collect();
    let own = files::hold_own(tx, user_id, &ids).await?;
    let suits =
        |wanted: &Wanted, file: &File| file.id == wanted.id && file.purpose == wanted.purpose;
    let unknown = wanted.iter().filter(|wanted| !own.iter().any(|file| suits(wanted, file)));
    let message = "must be one of your files for this purpose";
    let faults: Vec<FieldError> =
        unknown.map(|file| FieldError::new(&file.field, "unknown_file", message)).collect();
    if !faults.is_empty() {
        return Err(ServiceError::invalid(faults));
    }
    let are_ready = own.iter().all(|file| file.state == FileState::Ready);
    if are_ready { Ok(()) } else { Err(Code::FileNotReady.into()) }
}

/// A URL by which one of a user's own files can be downloaded for a while.
///
/// # Errors
/// [`Code::NotFound`], [`Code::FileNotReady`], [`Code::NotConfigured`].
pub async fn download(core: &Core, user_id: Uuid, id: Uuid) -> Result<Presigned> {
    let file = get(core, user_id, id).await?;
    download_of(core, &file).await
}

/// A URL by which a file can be downloaded for a while. A browser saves it, whatever it is, instead of showing it.
///
/// # Errors
/// [`Code::FileNotReady`], [`Code::NotConfigured`].
async fn download_of(core: &Core, file: &File) -> Result<Presigned> {
    signed(core, file, &attachment(&file.name)).await
}

/// A URL by which a browser shows a file for a while: only for types that can do nothing but be seen.
///
/// # Errors
/// [`Code::FileNotReady`], [`Code::NotConfigured`].
async fn inline_of(core: &Core, file: &File) -> Result<Presigned> {
    signed(core, file, "inline").await
}

async fn signed(core: &Core, file: &File, disposition: &str) -> Result<Presigned> {
    let storage = storage(core)?;
    let key = file.key.as_ref().filter(|_| file.state == FileState::Ready);
    let key = key.ok_or(Code::FileNotReady)?;
    let answered = (file.content_type.as_str(), disposition);
    let timing = (core.clock.now(), core.files.download_life);
    Ok(storage.presign_get(key, answered, timing).await?)
}

/// A disposition by which a browser saves a file under its name (RFC 6266); what no header can hold is encoded (RFC
/// 8187).
fn attachment(name: &str) -> String {
    use std::fmt::Write;

    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                encoded.push(char::from(byte));
            }
            _ => {
                // Writing to a text cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_name_stays_within_its_header() {
        for (name, expected) in [
            ("a b.pdf", "filename=\"a b.pdf\"; filename*=UTF-8''a%20b.pdf"),
            ("\"; x=\"", "filename=\"__ x__\"; filename*=UTF-8''%22%3B%20x%3D%22"),
            ("ü\r\nX: y", "filename=\"___X_ y\"; filename*=UTF-8''%C3%BC%0D%0AX%3A%20y"),
            ("../../etc", "filename=\".._.._etc\"; filename*=UTF-8''..%2F..%2Fetc"),
        ] {
            assert_eq!(attachment(name), format!("attachment; {expected}"));
        }
    }
}
