//! Where a cluster lives, and as whom its programs run.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{super::child::Account, PostgresError, account_for_root};
use crate::adapters::random::hex;

/// A socket's path may have 107 bytes on Linux (103 on macOS); its name takes 14 of them.
const MAX_SOCKET_DIR: usize = 88;

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
        let folder = folder.canonicalize().map_err(|source| PostgresError::Io {
            what: "can't use",
            path: folder.to_owned(),
            source,
        })?;
        let account = account_for_root().map(|usual| owner(&folder.join("data")).unwrap_or(usual));
        let base = match account {
            Some(account) if !is_reachable(&folder, account) => {
                let above = Path::new("/var/lib/twofold");
                create(above)?;
                set_mode(above, 0o711)?;
                above.join(short_name(&folder))
            }
            _ => folder,
        };
        create(&base)?;
        let account = account.map(|usual| owner(&base.join("data")).unwrap_or(usual));
        if !base.join("data").exists() {
            make_private(&base, account)?;
        }
        let socket_dir = if base.as_os_str().len() > MAX_SOCKET_DIR {
            private_socket_dir(&base, account)?
        } else {
            base.clone()
        };
        Ok(Self { data: base.join("data"), base, socket_dir, account })
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn unfinished_data(&self) -> PathBuf {
        self.base.join("data.unfinished")
    }

    pub(super) fn lock_file(&self) -> PathBuf {
        self.base.join("lock")
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

fn create(dir: &Path) -> Result<(), PostgresError> {
    fs::create_dir_all(dir).map_err(|source| PostgresError::Io {
        what: "can't create",
        path: dir.to_owned(),
        source,
    })
}

fn make_private(dir: &Path, account: Option<Account>) -> Result<(), PostgresError> {
    if let Some(account) = account {
        chown(dir, Some(account.uid), Some(account.gid)).map_err(|source| PostgresError::Io {
            what: "can't set the owner of",
            path: dir.to_owned(),
            source,
        })?;
    }
    set_mode(dir, 0o700)
}

fn set_mode(dir: &Path, mode: u32) -> Result<(), PostgresError> {
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(|source| PostgresError::Io {
        what: "can't set the rights of",
        path: dir.to_owned(),
        source,
    })
}

/// Whose a directory is, unless it is root's or not there.
fn owner(dir: &Path) -> Option<Account> {
    let meta = fs::metadata(dir).ok()?;
    (meta.uid() != 0).then(|| Account { uid: meta.uid(), gid: meta.gid() })
}

/// Opens a file of ours to append to it. Another account may write to its directory, so a link
/// that was put there is not followed.
pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
    let no_links = rustix::fs::OFlags::NOFOLLOW.bits();
    let flags = i32::try_from(no_links).map_err(io::Error::other)?;
    OpenOptions::new().create(true).append(true).custom_flags(flags).open(path)
}

/// A short directory in a place where others may write: only one that is nobody else's is used.
fn private_socket_dir(base: &Path, account: Option<Account>) -> Result<PathBuf, PostgresError> {
    let dir = std::env::temp_dir().join(format!("twofold-{}", short_name(base)));
    let failed = |what, source| PostgresError::Io { what, path: dir.clone(), source };
    let owner = account.map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.uid);
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => make_private(&dir, account)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Not through a link, which somebody may have put there.
            let found = fs::symlink_metadata(&dir).map_err(|e| failed("can't look at", e))?;
            if !found.is_dir() || found.uid() != owner || found.mode() & 0o077 != 0 {
                let foreign = io::Error::other("it belongs to somebody else");
                return Err(failed("can't use", foreign));
            }
        }
        Err(error) => return Err(failed("can't create", error)),
    }
    Ok(dir)
}

/// Whether the account can pass through all directories above `dir` (not so below a 0700 home).
fn is_reachable(dir: &Path, account: Account) -> bool {
    dir.ancestors().skip(1).all(|above| {
        fs::metadata(above).is_ok_and(|meta| {
            let bit = if meta.uid() == account.uid {
                0o100
            } else if meta.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            meta.mode() & bit != 0
        })
    })
}

/// The same short name for the same path, for directories outside it.
fn short_name(path: &Path) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, path.as_os_str().as_bytes());
    hex(&digest.as_ref()[..8])
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
    fn a_private_home_is_not_reachable_for_another_account() {
        let home = tempfile::tempdir().expect("temporary directory");
        let inner = home.path().join("inner");
        fs::create_dir(&inner).expect("directory");
        let stranger = Account { uid: 4_000_001, gid: 4_000_001 };
        let mode = |mode| {
            fs::set_permissions(home.path(), fs::Permissions::from_mode(mode)).expect("mode");
        };
        mode(0o700);
        assert!(!is_reachable(&inner, stranger));
        mode(0o711);
        assert!(is_reachable(&inner, stranger));
    }
}
