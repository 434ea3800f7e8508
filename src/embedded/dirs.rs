//! Directories outside the one that was asked for, where another account can't reach that.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use super::child::Account;

/// For root: where its child processes' account gets to when it can't below a private home.
pub(super) const SHARED: &str = "/var/lib/twofold";

/// Makes [`SHARED`], through which every account can pass.
pub(super) fn make_shared() -> io::Result<()> {
    fs::create_dir_all(SHARED)?;
    fs::set_permissions(SHARED, fs::Permissions::from_mode(0o711))
}

/// Whether the account can pass through all directories above `dir` (not so below a 0700 home).
/// Those that aren't there yet don't count.
pub(super) fn is_reachable(dir: &Path, account: Account) -> bool {
    dir.ancestors().skip(1).all(|above| match fs::metadata(above) {
        Ok(meta) => {
            let bit = if meta.uid() == account.uid {
                0o100
            } else if meta.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            meta.mode() & bit != 0
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_home_is_not_reachable_for_another_account() {
        let home = tempfile::tempdir().expect("temporary directory");
        let inner = home.path().join("inner/that/is/not/there");
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
