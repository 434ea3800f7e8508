//! Finds the server's binaries, and says which of them a cluster needs.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{db::inspect::OLDEST_SERVER, embedded::child::Account};

/// Where packages put versioned servers: a directory, what stands before the version in the
/// names below it, and where the binaries are below that.
const USUAL: [(&str, &str); 6] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/Library/PostgreSQL", ""),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// The directory with `postgres`, `initdb` and `pg_ctl`, which run here.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// Those in `dir`, if they are all there and run as the account.
    pub(super) fn at(dir: &Path, account: Option<Account>) -> Option<Self> {
        if !is_complete(dir) {
            return None;
        }
        let output = ask_version(dir, account).ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { dir: dir.to_owned(), major })
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.dir.join("pg_ctl")
    }
}

/// All that this machine has, the preferred first: `chosen`, those on the `PATH`, then those in
/// the usual directories and the fetched ones below `cache`, newest first. Nothing, if `chosen`
/// is of no use.
pub(super) fn find(chosen: Option<&Path>, cache: &Path, account: Option<Account>) -> Vec<Binaries> {
    if chosen.is_some_and(|dir| Binaries::at(dir, account).is_none()) {
        return Vec::new();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = USUAL.iter().flat_map(|(base, prefix)| below(Path::new(base), prefix));
    let mut installed: Vec<_> =
        usual.chain(below(cache, CACHED)).filter_map(|dir| Binaries::at(&dir, account)).collect();
    installed.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    let first = chosen.map(Path::to_owned).into_iter().chain(env::split_paths(&path));
    let mut found: Vec<_> = first.filter_map(|dir| Binaries::at(&dir, account)).collect();
    found.extend(installed);
    found
}

/// The ones for the cluster of that version, or for a new one: the first that isn't too old.
pub(super) fn choose(found: &[Binaries], made_by: Option<&str>) -> Option<Binaries> {
    let fits = |binaries: &&Binaries| match made_by {
        Some(version) => binaries.major.to_string() == version,
        None => binaries.major >= OLDEST_SERVER,
    };
    found.iter().find(fits).cloned()
}

/// For a message: what there is.
pub(super) fn list(found: &[Binaries]) -> String {
    let versions: BTreeSet<_> = found.iter().map(|binaries| binaries.major).collect();
    let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
    if versions.is_empty() {
        "none".to_owned()
    } else {
        format!("PostgreSQL {}", versions.join(", "))
    }
}

/// What stands before the version in the names of fetched servers.
pub(super) const CACHED: &str = "postgresql-";

/// The `bin` directories of all versions below `base`.
fn below(base: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let versions = entries.filter(|entry| {
        let name = entry.file_name();
        let version = name.to_str().and_then(|name| name.strip_prefix(prefix));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    });
    versions.map(|entry| entry.path().join("bin")).collect()
}

fn is_complete(dir: &Path) -> bool {
    ["postgres", "initdb", "pg_ctl"].iter().all(|name| dir.join(name).is_file())
}

/// Runs `postgres --version` as the account that the server will run as.
pub(super) fn ask_version(dir: &Path, account: Option<Account>) -> std::io::Result<Output> {
    let mut command = Command::new(dir.join("postgres"));
    command.arg("--version").stdin(Stdio::null()).current_dir("/");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command.output()
}

/// Of a text such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0)` or `… 19beta1`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory with programs that tell this version.
    fn server(base: &Path, name: &str, version: &str) -> PathBuf {
        let bin = base.join(name).join("bin");
        fs::create_dir_all(&bin).expect("directory");
        for program in ["postgres", "initdb", "pg_ctl"] {
            let path = bin.join(program);
            fs::write(&path, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"))
                .expect("file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        bin
    }

    #[test]
    fn versions_are_read_in_every_form() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("", None),
            ("postgres (PostgreSQL) devel", None),
        ] {
            assert_eq!(major_version(text), major, "{text}");
        }
    }

    #[test]
    fn the_chosen_one_wins_for_a_new_cluster_and_its_own_version_for_an_old_one() {
        let base = tempfile::tempdir().expect("temporary directory");
        let chosen = server(base.path(), "chosen", "98.1");
        server(base.path(), "postgresql-97.2-any", "97.2");
        let newest = server(base.path(), "postgresql-99.2-any", "99.2");
        let broken = server(base.path(), "postgresql-100.1-any", "100.1");
        fs::write(broken.join("postgres"), "").expect("file");
        let find = |chosen| find(chosen, base.path(), None);
        let dir = |found: &[Binaries], made| choose(found, made).map(|binaries| binaries.dir);

        let found = find(Some(&*chosen));
        assert_eq!(dir(&found, None).as_ref(), Some(&chosen));
        assert_eq!(dir(&found, Some("99")).as_ref(), Some(&newest));
        assert_eq!(dir(&found, Some("96")), None);
        // Whatever else this machine has is older.
        let installed: Vec<_> = find(None).into_iter().map(|binaries| binaries.major).collect();
        assert!(installed.iter().position(|m| *m == 99) < installed.iter().position(|m| *m == 97));
        assert!(!installed.contains(&100), "it doesn't run");
    }

    #[test]
    fn one_that_is_too_old_is_not_chosen() {
        let base = tempfile::tempdir().expect("temporary directory");
        let old = Binaries::at(&server(base.path(), "old", "14.9"), None).expect("it runs");
        assert!(choose(std::slice::from_ref(&old), None).is_none());
        assert!(choose(&[old], Some("14")).is_some(), "its own cluster");
    }
}
