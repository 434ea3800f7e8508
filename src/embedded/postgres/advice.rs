//! What to do on a machine without server binaries.

use std::{fs, path::PathBuf};

use super::{
    binaries::{self, Binaries},
    fetch::Attempts,
};
use crate::db::inspect::OLDEST_SERVER;

/// No server binaries of use on this machine, and none that could be fetched.
#[derive(Debug, thiserror::Error)]
#[error(
    "no PostgreSQL server {OLDEST_SERVER} or newer was found {}.{attempts}\n\
     Install one:      {}\n\
     or use your own:  set DATABASE_URL=postgresql://user:password@host/database\n\
     or say where:     set PG_BIN to the directory that holds postgres and initdb",
    self.place(),
    install_command()
)]
pub struct NoBinaries {
    /// The directory that was named, and holds none.
    pub(super) chosen: Option<PathBuf>,
    /// Those that are too old.
    pub(super) found: Vec<Binaries>,
    pub(super) attempts: Attempts,
}

impl NoBinaries {
    fn place(&self) -> String {
        let place = match &self.chosen {
            Some(dir) => format!("in {}", dir.display()),
            None => "on this machine".to_owned(),
        };
        match self.found.as_slice() {
            [] => place,
            found => format!("{place} (only {})", binaries::list(found)),
        }
    }
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
    fn the_error_names_the_command_of_the_system() {
        assert!(install_command_for("ID=ubuntu\nID_LIKE=debian\n").contains("apt-get"));
        assert!(
            install_command_for("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").contains("dnf")
        );
        assert!(install_command_for("").contains("package manager"));
    }

    #[test]
    fn the_error_tells_what_was_tried() {
        let attempts = Attempts(vec![super::super::fetch::FetchError::NoClient]);
        let error = NoBinaries { chosen: None, found: Vec::new(), attempts };
        let text = error.to_string();
        for part in ["on this machine.\n", "npm", "Install one", "DATABASE_URL", "PG_BIN"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        let chosen = Some("/nowhere".into());
        let error = NoBinaries { chosen, found: Vec::new(), attempts: Attempts::default() };
        assert!(error.to_string().contains("found in /nowhere.\n"), "{error}");
    }
}
