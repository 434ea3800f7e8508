//! Celery with Redis on the same machine, as it comes: tasks that do nothing.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::redis_server;

/// `packaging` is missing among what its Redis transport asks for.
const PACKAGES: [&str; 3] = ["celery==5.7.0", "redis", "packaging"];
/// More than enough for what is measured here.
const LIMIT: Duration = Duration::from_mins(2);

/// Ends the process when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Celery {
    python: PathBuf,
    socket: PathBuf,
    _redis: Process,
    _dir: tempfile::TempDir,
}

impl Celery {
    /// Installs it below `target`, unless it is there, and starts a Redis for it.
    pub fn start() -> Self {
        let python = install();
        let dir = tempfile::tempdir().expect("a folder");
        let socket = dir.path().join("redis.sock");
        let redis = Command::new(redis_server::path())
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server");
        wait(|| socket.exists());
        Self { python, socket, _redis: Process(redis), _dir: dir }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command
            .args(args)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/jobs"))
            .env("BROKER", format!("redis+socket://{}", self.socket.display()))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// How many tasks a second it does: from the first one that its worker takes to the last.
    pub fn throughput(&self, count: usize) -> f64 {
        let stored = self.command(&["tasks.py", &count.to_string()]).status().expect("python");
        assert!(stored.success(), "the tasks can't be stored");
        assert_eq!(self.waiting(), count);
        let worker = ["-m", "celery", "-A", "tasks", "worker", "--concurrency", "2"];
        let worker = Process(self.command(&worker).spawn().expect("celery"));
        wait(|| self.waiting() < count);
        let started = Instant::now();
        wait(|| self.waiting() + self.taken() == 0);
        let took = started.elapsed();
        let pid = i32::try_from(worker.0.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        // Its children end with it.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let mut worker = worker;
        wait(|| worker.0.try_wait().expect("asked").is_some());
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rate = count as f64 / took.as_secs_f64();
        rate
    }

    /// How many tasks wait in Redis.
    fn waiting(&self) -> usize {
        self.ask(b"LLEN celery\r\n")
    }

    /// How many the worker has taken and not acknowledged.
    fn taken(&self) -> usize {
        self.ask(b"HLEN unacked\r\n")
    }

    fn ask(&self, command: &[u8]) -> usize {
        let mut stream = UnixStream::connect(&self.socket).expect("Redis");
        stream.write_all(command).expect("asked");
        let mut answer = [0; 32];
        let read = stream.read(&mut answer).expect("answered");
        let text = String::from_utf8_lossy(&answer[..read]);
        text.trim().trim_start_matches(':').parse().expect("a number")
    }
}

/// The path of a Python that has Celery.
fn install() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("celery");
    let python = home.join("bin/python");
    let done = home.join("done");
    if !done.exists() {
        let run = |command: &mut Command| {
            assert!(command.status().is_ok_and(|status| status.success()), "{command:?}");
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        fs::write(done, "").expect("written");
    }
    python
}

fn wait(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "it takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}
