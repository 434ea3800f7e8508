//! A private S3 server as a process of its own, which shares no code with the embedded one.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::net::TcpListener;
use twofold::embedded::{child, postgres::fetch::cache};

const REQUIREMENTS: &str = include_str!("s3_requirements.txt");
const ADVICE: &str =
    "The tests need an S3 server, and could not install it by python3, venv and pip";

/// How long it may take to start.
const LIMIT: Duration = Duration::from_secs(30);

const BUCKET: &str = "files";
const ACCESS_KEY: &str = "only-for-tests";
const SECRET_KEY: &str = "only-for-tests-only-for-tests-only-for-tests";

/// Killed when dropped.
pub struct S3 {
    child: Child,
    pub port: u16,
    _dir: TempDir,
}

impl S3 {
    /// Starts one with an empty bucket, and waits until it answers.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        fs::create_dir(dir.path().join(BUCKET)).expect("a bucket");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let child = child::command(Path::new(env!("CARGO_BIN_EXE_twofold")), None, python())
            .args(["-m", "nanio", "serve", "--host", "127.0.0.1", "--no-access-log"])
            .args(["--log-level", "error", "--port", &port.to_string(), "--data-dir"])
            .arg(dir.path())
            .env("NANIO_ACCESS_KEY", ACCESS_KEY)
            .env("NANIO_SECRET_KEY", SECRET_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let mut s3 = Self { child: child.expect("started"), port, _dir: dir };
        let started = Instant::now();
        while let Err(error) = reqwest::get(s3.url()).await {
            let ended = s3.child.try_wait().expect("asked");
            assert!(ended.is_none() && started.elapsed() < LIMIT, "S3 doesn't start: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        s3
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// By these the application keeps its files there.
    pub fn variables(&self) -> [(&'static str, String); 6] {
        [
            ("TWOFOLD_STORAGE__ENDPOINT", self.url()),
            ("TWOFOLD_STORAGE__BUCKET", BUCKET.to_owned()),
            ("TWOFOLD_STORAGE__PATH_STYLE", "true".to_owned()),
            ("TWOFOLD_STORAGE__PREFIX", "some/prefix/".to_owned()),
            ("TWOFOLD_STORAGE__ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("TWOFOLD_STORAGE__SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that has the server, installed once into the user's cache.
fn python() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(install);
    &PATH
}

fn install() -> PathBuf {
    let dir = cache(Path::new(env!("CARGO_TARGET_TMPDIR")), None).join("s3-server");
    fs::create_dir_all(&dir).expect("directory");
    // Another run of the tests may be at it.
    let lock = File::create(dir.join("lock"));
    let _lock = lock.and_then(|lock| lock.lock().map(|()| lock)).expect("a lock");
    let (venv, installed) = (dir.join("venv"), dir.join("installed"));
    let python = venv.join("bin/python");
    if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return python;
    }
    let run = |program: &Path, args: &[&str]| {
        let status = Command::new(program).args(args).status().expect(ADVICE);
        assert!(status.success(), "{ADVICE}");
    };
    let wanted = dir.join("requirements.txt");
    fs::write(&wanted, REQUIREMENTS).expect("written");
    run(Path::new("python3"), &["-m", "venv", venv.to_str().expect("UTF-8")]);
    let wanted = wanted.to_str().expect("UTF-8");
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(&python, &[&quiet[..], &["--no-deps", "--requirement", wanted]].concat());
    fs::write(installed, REQUIREMENTS).expect("written");
    python
}
