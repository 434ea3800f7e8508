//! A Unix socket: one of a dead process is replaced, that of a live one is not.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Its owner and its group may connect: a proxy runs as an account of its own.
const MODE: u32 = 0o660;
const BACKLOG: u32 = 1024;

/// The file of a socket; removed when dropped, and only then is the lock beside it freed.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    _lock: File,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens on a socket at `path`.
///
/// # Errors
/// `AddrInUse` when a process listens there, `AlreadyExists` when the file is no socket.
pub(super) async fn bind(path: &Path) -> io::Result<(SocketFile, UnixListener)> {
    let lock = lock(path)?;
    remove_stale(path).await?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile { path: path.to_owned(), _lock: lock };
    // Before it listens, so that nobody connects by other rights.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok((file, socket.listen(BACKLOG)?))
}

/// Two that find the same stale socket must not both replace it.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).append(true).open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn in_use() -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is no socket")),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(in_use()),
    }
}
