//! One process at a time runs a cluster: its lock, and who holds it.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::place::NO_LINKS;

/// Held while this process runs the cluster; the system frees it when the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

/// Another process that runs the cluster, as far as its lock file tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: Option<u32>,
    /// Where it serves, once it does.
    pub address: Option<String>,
}

impl Lock {
    /// Takes the lock, or tells who has it.
    pub(super) fn take(path: &Path) -> io::Result<Result<Self, Holder>> {
        let file = options().create(true).append(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                let lock = Self(file);
                // A full disk shows elsewhere, with a better message.
                let _ = lock.write("");
                Ok(Ok(lock))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(Holder::read(file))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Lets others know where this process serves.
    pub(super) fn announce(&self, address: &str) -> io::Result<()> {
        self.write(address)
    }

    fn write(&self, address: &str) -> io::Result<()> {
        let text = format!("{}\n{address}\n", std::process::id());
        self.0.set_len(0)?;
        // In one piece: others read it at any time.
        (&self.0).write_all(text.as_bytes())
    }
}

impl Holder {
    /// Who holds the lock now, without making anything.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = options().open(path).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| Self::read(file))
    }

    fn read(file: File) -> Self {
        let mut text = String::new();
        // What can't be read isn't known: the lock itself says that there is somebody.
        let _ = file.take(1000).read_to_string(&mut text);
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.parse().ok());
        let address = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        Self { pid, address: address.filter(|text| !text.contains(char::is_control)) }
    }
}

impl fmt::Display for Holder {
    /// As the beginning of a sentence that goes on with the folder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another instance")?;
        if let Some(pid) = self.pid {
            write!(f, " (process {pid})")?;
        }
        match &self.address {
            Some(address) => write!(f, " already serves this folder at {address}"),
            None => f.write_str(" already uses this folder"),
        }
    }
}

/// Another account may write to the directory, so a link that was put there is not followed.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(NO_LINKS);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_known_to_others() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("lock");
        assert_eq!(Holder::of(&path), None);
        assert!(!path.exists(), "asking makes nothing");

        let lock = Lock::take(&path).expect("opened").expect("free");
        let holder = Lock::take(&path).expect("opened").expect_err("taken");
        let pid = std::process::id();
        assert_eq!(
            holder.to_string(),
            format!("another instance (process {pid}) already uses this folder")
        );
        lock.announce("http://127.0.0.1:8001").expect("written");
        let text = Holder::of(&path).expect("held").to_string();
        assert!(text.ends_with("already serves this folder at http://127.0.0.1:8001"), "{text}");

        drop(lock);
        // What is written stays, the lock doesn't; but a process that another test starts at this
        // moment has it too, until it becomes another program.
        let lock = loop {
            if let Ok(lock) = Lock::take(&path).expect("opened") {
                break lock;
            }
            std::thread::yield_now();
        };
        assert_eq!(Holder::of(&path).expect("held").address, None, "not that of before");
        drop(lock);
    }

    #[test]
    fn a_file_that_tells_nothing_of_use_is_no_obstacle() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("lock");
        std::fs::write(&path, "nonsense\nhttp://\u{1b}[2J\n").expect("written");
        let file = File::open(&path).expect("opened");
        assert_eq!(Holder::read(file), Holder::default());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("link");
        assert!(Lock::take(&link).is_err(), "a link");
    }
}
