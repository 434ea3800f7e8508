//! Finds the server's binaries.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where packages put versioned servers: a directory, what stands before the version in the
/// names below it, and where the binaries are below that.
const USUAL: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Library/PostgreSQL", "", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The oldest server that the product is made for.
const OLDEST: u32 = 15;

/// No server binaries of use on this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "no PostgreSQL server {OLDEST} or newer was found on this machine{}.\n\
     Install one:      {}\n\
     or use your own:  set DATABASE_URL=postgresql://user:password@host/database\n\
     or say where:     set PG_BIN to the directory that holds postgres and initdb",
    found.as_ref().map(|version| format!(" (only {version})")).unwrap_or_default(),
    install_command()
)]
pub struct NoBinaries {
    /// The version that is too old.
    found: Option<String>,
}

/// The directory with `postgres`, `initdb` and `pg_ctl`.
#[derive(Debug)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// `PG_BIN`, then `PATH`, then the usual directories, newest first.
    pub(super) fn find() -> Result<Self, NoBinaries> {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = match env::var_os("PG_BIN").map(PathBuf::from) {
            Some(chosen) => Some(chosen).filter(|dir| is_complete(dir)),
            None => env::split_paths(&path).find(|dir| is_complete(dir)).or_else(|| newest(&USUAL)),
        };
        let binaries = found.map(Self).ok_or(NoBinaries { found: None })?;
        let version = binaries.major_version();
        if version.parse::<u32>().is_ok_and(|version| version < OLDEST) {
            return Err(NoBinaries { found: Some(version) });
        }
        Ok(binaries)
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }

    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.0.join("pg_ctl")
    }

    /// As in the cluster's `PG_VERSION` file, e.g. `15`; empty if the server doesn't say.
    pub(super) fn major_version(&self) -> String {
        let output = Command::new(self.postgres()).arg("--version").output();
        let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        let version = text.as_deref().ok().and_then(|t| t.split_whitespace().nth(2)).unwrap_or("");
        version.split(['.', 'b', 'r']).next().unwrap_or("").to_owned()
    }
}

fn is_complete(dir: &Path) -> bool {
    ["postgres", "initdb", "pg_ctl"].iter().all(|name| dir.join(name).is_file())
}

fn newest(usual: &[(&str, &str, &str)]) -> Option<PathBuf> {
    let mut found = Vec::new();
    for (base, prefix, below) in usual {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let version = name.strip_prefix(prefix).and_then(|version| version.split('.').next());
            let dir = entry.path().join(below);
            if let Some(version) = version.and_then(|v| v.parse::<u32>().ok())
                && is_complete(&dir)
            {
                found.push((version, dir));
            }
        }
    }
    found.into_iter().max().map(|(_, dir)| dir)
}

/// The command that installs a server on this system.
fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        return "brew install postgresql@17";
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_command_for(&release)
}

/// `release` in the format of os-release(5).
fn install_command_for(release: &str) -> &'static str {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let family = format!(" {} {} ", value("ID"), value("ID_LIKE"));
    let commands = [
        (" debian ", "sudo apt-get install -y postgresql"),
        (" fedora ", "sudo dnf install -y postgresql-server"),
        (" rhel ", "sudo dnf install -y postgresql-server"),
        (" suse ", "sudo zypper install -y postgresql-server"),
        (" arch ", "sudo pacman -S --noconfirm postgresql"),
        (" alpine ", "sudo apk add postgresql"),
    ];
    let known = commands.iter().find(|(name, _)| family.contains(name));
    known.map_or("install PostgreSQL 15 or newer with your package manager", |(_, command)| command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_version_wins() {
        let base = tempfile::tempdir().expect("temporary directory");
        for (version, complete) in [("9.6", true), ("15", true), ("17", false), ("notes", true)] {
            let bin = base.path().join(version).join("bin");
            fs::create_dir_all(&bin).expect("directory");
            let names: &[&str] =
                if complete { &["postgres", "initdb", "pg_ctl"] } else { &["postgres"] };
            for name in names {
                fs::write(bin.join(name), "").expect("file");
            }
        }
        let base = base.path().to_str().expect("UTF-8");
        let found = newest(&[(base, "", "bin")]).expect("one");
        assert!(found.ends_with("15/bin"), "{found:?}");
        assert_eq!(newest(&[("/nowhere", "", "bin")]), None);
    }

    #[test]
    fn the_error_names_the_command_of_the_system() {
        assert!(install_command_for("ID=ubuntu\nID_LIKE=debian\n").contains("apt-get"));
        assert!(
            install_command_for("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").contains("dnf")
        );
        assert!(install_command_for("").contains("package manager"));
        assert!(NoBinaries { found: None }.to_string().contains("DATABASE_URL"));
    }
}
