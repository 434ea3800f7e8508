//! The data directory: where it is, and the directories and secrets in it.

use std::{
    env, fs,
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::Access;
use secrecy::SecretString;

use super::StartError;
use crate::adapters::{random::Random, short_name::short_name};

/// Makes the data directory and returns its full path. Others may pass through it (the embedded
/// database's account must), not list it.
///
/// One that nobody has asked for and that can't be made here, as in a read-only checkout, is made
/// below the user's own data instead, by the name of the working directory.
///
/// # Errors
/// When neither can be used.
pub fn prepare(data_dir: &Path, is_explicit: bool) -> Result<PathBuf, StartError> {
    let error = match make(data_dir) {
        Ok(made) => return Ok(made),
        Err(error) => error,
    };
    // What another account made must not silently be a different one for this account.
    let is_foreign = error.kind() == ErrorKind::PermissionDenied && data_dir.exists();
    let may_move = !is_explicit && is_barred(&error) && !is_foreign;
    match fallback().filter(|_| may_move) {
        Some(fallback) => {
            make(&fallback).map_err(|source| StartError::DataDir { path: fallback.clone(), source })
        }
        None => Err(StartError::DataDir { path: data_dir.to_owned(), source: error }),
    }
}

/// Whether this process isn't allowed to write there.
pub(super) fn is_barred(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
}

/// Where the data directory may be, whether or not it is there yet.
pub(super) fn candidates(data_dir: &Path, is_explicit: bool) -> impl Iterator<Item = PathBuf> {
    let fallback = fallback().filter(|_| !is_explicit);
    std::iter::once(data_dir.to_owned()).chain(fallback)
}

/// Below `XDG_DATA_HOME`, where each working directory has one of its own.
fn fallback() -> Option<PathBuf> {
    let xdg = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || env::home_dir().map(|home| home.join(".local/share"));
    let here = env::current_dir().ok()?;
    Some(xdg.or_else(home)?.join("twofold").join(short_name(&here)))
}

fn make(data_dir: &Path) -> io::Result<PathBuf> {
    make_dir(data_dir, 0o711)?;
    rustix::fs::access(data_dir, Access::WRITE_OK | Access::EXEC_OK)?;
    data_dir.canonicalize()
}

/// Makes a directory in it; the rights of one that is there already are its owner's affair.
pub(super) fn make_private_dir(dir: &Path) -> Result<(), StartError> {
    make_dir(dir, 0o700).map_err(|source| StartError::Io {
        what: "can't create",
        path: dir.to_owned(),
        source,
    })
}

fn make_dir(dir: &Path, mode: u32) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        fs::create_dir_all(above)?;
    }
    match fs::DirBuilder::new().mode(mode).create(dir) {
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    // The mode above is subject to the umask.
    fs::set_permissions(dir, fs::Permissions::from_mode(mode))
}

/// What is shorter was not written by us.
const MIN_SECRET_BYTES: usize = 32;

/// The secret of that name, which the first start writes.
pub(super) fn secret(data_dir: &Path, name: &str) -> Result<SecretString, StartError> {
    let folder = data_dir.join("secrets");
    make_private_dir(&folder)?;
    let path = folder.join(name);
    let failed = |what, source| StartError::Io { what, path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(secret) if secret.len() >= MIN_SECRET_BYTES => return Ok(secret.into()),
        Ok(_) => {
            let advice = "it is too short; remove it to have one made, which ends all sessions";
            return Err(failed("can't use the secret in", io::Error::other(advice)));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("can't read the secret in", error)),
    }
    let secret = Random.token();
    // Under another name first, so that a kill leaves no half-written secret.
    let unfinished = folder.join(format!("{name}.{}", Random.token()));
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(0o600).open(&unfinished)?;
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename it keeps the secret of a process that was faster.
        let linked = fs::hard_link(&unfinished, &path);
        fs::remove_file(&unfinished)?;
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::read_to_string(&path),
            linked => linked.map(|()| secret.clone()),
        }
    };
    write().map(Into::into).map_err(|error| failed("can't write the secret in", error))
}
