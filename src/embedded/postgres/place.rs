//! Where a cluster lives, and as whom its programs run.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::PostgresError;
use crate::{
    adapters::short_name::short_name,
    embedded::{
        child::Account,
        dirs::{self, is_reachable},
    },
};

/// A socket's path may have 107 bytes on Linux (103 on macOS); its name takes 14 of them.
const MAX_SOCKET_DIR: usize = 88;

/// The name of the directory that holds clusters while they are made.
const UNFINISHED: &str = "data.unfinished";

/// Another account may write to the directories of a cluster, so files of ours there are not
/// opened through a link that was put in their place.
pub(super) const NO_LINKS: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// The directories of one cluster.
#[derive(Debug, Clone)]
pub(super) struct Place {
    base: PathBuf,
    data: PathBuf,
    socket_dir: PathBuf,
    account: Option<Account>,
}

impl Place {
    /// Makes the directories, mode 0700, owned by the account that will use them. A cluster that
    /// is there keeps its owner, also when root runs a command on a user's.
    pub(super) fn prepare(folder: &Path) -> Result<Self, PostgresError> {
        create(folder)?;
        let folder = folder.canonicalize().map_err(PostgresError::io("can't use", folder))?;
        let (base, account) = base_of(&folder);
        if base != folder {
            dirs::make_shared()
                .map_err(PostgresError::io("can't create", dirs::SHARED.as_ref()))?;
        }
        create(&base)?;
        let account = account.map(|usual| owner(&base.join("data")).unwrap_or(usual));
        if !base.join("data").exists() {
            refuse_foreign(&base)?;
            make_private(&base, account)?;
        }
        let socket_dir = if base.as_os_str().len() > MAX_SOCKET_DIR {
            private_socket_dir(&base, account)?
        } else {
            base.clone()
        };
        Ok(Self { data: base.join("data"), base, socket_dir, account })
    }

    /// Where the lock of a folder's cluster is, if there is such a folder. Makes nothing.
    pub(super) fn lock_file_of(folder: &Path) -> Option<PathBuf> {
        let (base, _) = base_of(&folder.canonicalize().ok()?);
        Some(base.join(LOCK))
    }

    /// The version that made the cluster, if there is one: `15`, or before 10 `9.6`.
    pub(super) fn made_by(&self) -> Option<String> {
        let version = fs::read_to_string(self.data.join("PG_VERSION")).ok()?;
        Some(version.trim().to_owned())
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Holds clusters while they are made.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.base.join(UNFINISHED)
    }

    pub(super) fn lock_file(&self) -> PathBuf {
        self.base.join(LOCK)
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.base.join("postgres.log")
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// Removes the directory of the socket, where it is one outside; nobody listens there any more.
    pub(super) fn remove_socket_dir(&self) {
        if self.socket_dir != self.base {
            let _ = fs::remove_dir(&self.socket_dir);
        }
    }

    /// Where the server listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket_dir.join(".s.PGSQL.5432")
    }

    pub(super) fn account(&self) -> Option<Account> {
        self.account
    }

    /// A command of this cluster: as its account, in its directory, with a clean environment.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.clean(&mut command);
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    /// Directory and environment, without which a caller's `PGPORT` or locale would leak in.
    pub(super) fn clean(&self, command: &mut Command) {
        command.current_dir(&self.base).env("LC_ALL", "C").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
    }
}

const LOCK: &str = "lock";

/// Where the cluster of a folder is, and as whom it runs: root's account can't reach a folder
/// below a private home.
fn base_of(folder: &Path) -> (PathBuf, Option<Account>) {
    let account = account_for_root().map(|usual| owner(&folder.join("data")).unwrap_or(usual));
    match account {
        Some(account) if !is_reachable(folder, account) => {
            (Path::new(dirs::SHARED).join(short_name(folder)), Some(account))
        }
        _ => (folder.to_owned(), account),
    }
}

/// PostgreSQL refuses to run as root.
fn account_for_root() -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != name {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Account { uid, gid })
        })
    };
    find("postgres").or_else(|| find("nobody")).or(Some(Account { uid: 65534, gid: 65534 }))
}

fn create(dir: &Path) -> Result<(), PostgresError> {
    fs::create_dir_all(dir).map_err(PostgresError::io("can't create", dir))
}

/// A directory that holds other things, to which a link may have led, is not made ours.
fn refuse_foreign(dir: &Path) -> Result<(), PostgresError> {
    const OURS: [&str; 4] = [LOCK, "postgres.log", UNFINISHED, "binaries"];
    let failed = |source| PostgresError::io("can't use for the database", dir)(source);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
        }
    }
    Ok(())
}

fn make_private(dir: &Path, account: Option<Account>) -> Result<(), PostgresError> {
    if let Some(account) = account {
        chown(dir, Some(account.uid), Some(account.gid))
            .map_err(PostgresError::io("can't set the owner of", dir))?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(PostgresError::io("can't set the rights of", dir))
}

/// Whose a directory is, unless it is root's or not there.
fn owner(dir: &Path) -> Option<Account> {
    let meta = fs::metadata(dir).ok()?;
    (meta.uid() != 0).then(|| Account { uid: meta.uid(), gid: meta.gid() })
}

/// Opens a file of ours to append to it.
pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).custom_flags(NO_LINKS).open(path)
}

/// A short directory in a place where others may write: only one that is nobody else's is used.
fn private_socket_dir(base: &Path, account: Option<Account>) -> Result<PathBuf, PostgresError> {
    let dir = std::env::temp_dir().join(format!("twofold-{}", short_name(base)));
    let owner = account.map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.uid);
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => make_private(&dir, account)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Not through a link, which somebody may have put there.
            let found =
                fs::symlink_metadata(&dir).map_err(PostgresError::io("can't look at", &dir))?;
            if !found.is_dir() || found.uid() != owner || found.mode() & 0o077 != 0 {
                let foreign = io::Error::other("it belongs to somebody else");
                return Err(PostgresError::io("can't use", &dir)(foreign));
            }
        }
        Err(error) => return Err(PostgresError::io("can't create", &dir)(error)),
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_directory_that_is_not_ours_is_refused() {
        let base = tempfile::tempdir().expect("temporary directory");
        let name = format!("twofold-{}", short_name(base.path()));
        let dir = std::env::temp_dir().join(&name);
        let target = base.path().join("target");
        fs::create_dir(&target).expect("directory");
        std::os::unix::fs::symlink(&target, &dir).expect("link");
        assert!(private_socket_dir(base.path(), None).is_err(), "a link");
        fs::remove_file(&dir).expect("removed");

        let made = private_socket_dir(base.path(), None).expect("made");
        assert_eq!(fs::metadata(&made).expect("there").mode() & 0o777, 0o700);
        assert!(private_socket_dir(base.path(), None).is_ok(), "its own, again");
        fs::set_permissions(&made, fs::Permissions::from_mode(0o777)).expect("mode");
        assert!(private_socket_dir(base.path(), None).is_err(), "open to others");
        fs::remove_dir(&made).expect("removed");
    }

    #[test]
    fn a_directory_with_other_things_is_not_taken_over() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mode = || fs::metadata(dir.path()).expect("there").mode() & 0o777;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        fs::write(dir.path().join("letters"), "").expect("file");
        assert!(Place::prepare(dir.path()).is_err());
        assert_eq!(mode(), 0o755);
        fs::remove_file(dir.path().join("letters")).expect("removed");
        fs::write(dir.path().join(LOCK), "").expect("file");
        assert!(Place::prepare(dir.path()).is_ok());
        assert_eq!(mode(), 0o700);
    }
}
