//! Pictures for everybody: a job makes them of what was uploaded, of which nothing else stays.

use std::{io, time::Duration};

use futures_util::Stream;
use hyper::body::Bytes;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    super::{Code, Core, Result, ServiceError, jobs::Job},
    FileType,
    removal::{self, forget},
    storage,
};
use crate::{
    adapters::pictures::{self, Picture, PictureError, Shape},
    db::{
        Origin, Tx,
        doomed_objects::Doomed,
        file_spaces,
        files::{self, File, FilePurpose, FileState, Remade},
    },
    telemetry::Chain,
};

/// Makes the picture of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakePicture {
    pub file_id: Uuid,
}

impl Job for MakePicture {
    const KIND: &'static str = "files.make_picture";
    const TIME_LIMIT: Duration = Duration::from_mins(2);
}

/// What pictures for this look like; `None`: files for it stay as they are.
pub(super) fn shape(purpose: FilePurpose) -> Option<Shape> {
    match purpose {
        FilePurpose::Avatar => Some(Shape::Square(512)),
        FilePurpose::PostCover => Some(Shape::Within(1600)),
        FilePurpose::Attachment => None,
    }
}

/// Makes the picture of a file that waits for it; a second time changes nothing.
///
/// # Errors
/// [`Code::NotConfigured`], and [`Code::Unavailable`] when the storage is down.
pub async fn make(core: &Core, origin: &Origin, file_id: Uuid) -> Result<()> {
    let file = files::find(&mut *core.db.conn().await?, file_id).await?;
    let file = file.filter(|file| file.state == FileState::Processing);
    let Some((file, key)) = file.and_then(|file| Some((file.clone(), file.key?))) else {
        return Ok(());
    };
    let Some(shape) = shape(file.purpose) else { return Ok(()) };
    let uploaded = storage(core)?.read(&key).await?;
    match pictures::remake(uploaded, shape).await {
        Ok(picture) => replace(core, origin, &file, &key, picture).await,
        Err(PictureError::GivenUp) => Err(ServiceError::internal(PictureError::GivenUp)),
        Err(error) => {
            tracing::info!("nothing can be made of the file {file_id}: {}", Chain(&error));
            fail(core, origin, &file).await
        }
    }
}

/// The file is the picture from now on.
async fn replace(
    core: &Core,
    origin: &Origin,
    file: &File,
    old_key: &str,
    picture: Picture,
) -> Result<()> {
    let object = removal::intend(core, file.id, Duration::ZERO).await?;
    let Picture { bytes, width, height } = picture;
    let sha256 = digest(&SHA256, &bytes);
    let made = Remade {
        key: &object.prefix,
        content_type: FileType::Jpeg.text(),
        size: i64::try_from(bytes.len()).map_err(ServiceError::internal)?,
        sha256: sha256.as_ref(),
        width: i32::try_from(width).map_err(ServiceError::internal)?,
        height: i32::try_from(height).map_err(ServiceError::internal)?,
    };
    let storage = storage(core)?;
    storage.put(&object.prefix, made.content_type, bytes).await?;
    let mut tx = core.db.begin(origin).await?;
    let (now, saved) = (tx.now, file.size - made.size);
    if !files::finish(&mut tx, file.id, made, now).await? {
        drop(tx);
        forget(storage.delete(&object.prefix).await);
        return Ok(());
    }
    removal::keep(&mut tx, &object).await?;
    file_spaces::free(&mut tx, file.owner_id, 0, saved, now).await?;
    let old = Doomed::objects(old_key.to_owned(), now);
    removal::doom(core, &mut tx, vec![old]).await?;
    Ok(tx.commit().await?)
}

/// Nothing can be made of a file.
pub(super) async fn fail(core: &Core, origin: &Origin, file: &File) -> Result<()> {
    let mut tx = core.db.begin(origin).await?;
    give_up(core, &mut tx, file).await?;
    Ok(tx.commit().await?)
}

/// As of [`fail`], of a file that is being worked on.
pub(super) async fn give_up(core: &Core, tx: &mut Tx, file: &File) -> Result<()> {
    let now = tx.now;
    if files::fail(tx, file.id, now + core.files.pending_life, now).await? {
        removal::doom(core, tx, removal::doomed(file, now).collect()).await?;
    }
    Ok(())
}

/// A picture that is for everybody.
pub struct Shown<S> {
    /// In bytes.
    pub size: i64,
    /// Of its bytes.
    pub sha256: Vec<u8>,
    pub bytes: S,
}

/// A picture that is for everybody, read while it is sent: many may look at it at a time.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::NotConfigured`], and [`Code::Unavailable`] when the storage is down.
pub async fn show(
    core: &Core,
    id: Uuid,
) -> Result<Shown<impl Stream<Item = io::Result<Bytes>> + Send + use<>>> {
    let file = files::find(&mut *core.db.conn().await?, id).await?;
    let file = file.filter(|file| file.state == FileState::Ready && shape(file.purpose).is_some());
    let file = file.ok_or(Code::NotFound)?;
    let (key, sha256) = file.key.zip(file.sha256).ok_or(Code::NotFound)?;
    let bytes = storage(core)?.open(&key).await?;
    Ok(Shown { size: file.size, sha256, bytes })
}
