//! The real program as a process of its own.

use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long the program may take to start or to stop.
const LIMIT: Duration = Duration::from_mins(1);

const BINARY: &str = env!("CARGO_BIN_EXE_twofold");

/// An account besides root, where the tests run as root.
pub const NOBODY: u32 = 65534;

/// A directory that the account of the embedded PostgreSQL can reach.
pub fn dir() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.permissions(fs::Permissions::from_mode(0o755)).tempdir().expect("directory")
}

/// `twofold` with these arguments, in this directory, with an environment as good as empty.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    command_of(Path::new(BINARY), dir, args)
}

/// A copy of the program that another account can reach, wherever this repository is.
fn own_copy(dir: &Path) -> PathBuf {
    let copy = dir.join("twofold");
    if !copy.exists() {
        fs::copy(BINARY, &copy).expect("copied");
    }
    copy
}

/// The same as another account.
pub fn command_as(dir: &Path, args: &[&str], uid: u32) -> Command {
    let mut command = command_of(&own_copy(dir), dir, args);
    command.uid(uid).gid(uid);
    command
}

fn command_of(binary: &Path, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(dir).args(args).env_clear().stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(binaries) = std::env::var_os("PG_BIN") {
        command.env("PG_BIN", binaries);
    }
    command
}

/// Runs a command to its end.
pub fn run(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    command(dir, args).envs(variables.iter().copied()).output().expect("it runs")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `twofold serve` while it runs; killed when dropped.
pub struct Program {
    child: Child,
    pub base: String,
    dir: PathBuf,
}

impl Program {
    /// Starts it on a free port and waits until it says that it is ready.
    pub fn start(dir: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_as(dir, variables, None)
    }

    pub fn start_as(dir: &Path, variables: &[(&str, &str)], uid: Option<u32>) -> Self {
        // As the README says it: without any command.
        let command = match uid {
            Some(uid) => command_as(dir, &[], uid),
            None => command(dir, &[]),
        };
        let mut program = Self::spawn(dir, command, variables);
        let banner = program.wait_until_ready();
        let is_address = |word: &&str| word.contains("://") || word.starts_with("unix:");
        let address = banner.split_whitespace().find(is_address);
        let address = address.and_then(|a| a.split("/api/").next()).expect("an address");
        address.trim_end_matches('/').clone_into(&mut program.base);
        program
    }

    /// Another command that runs until it is stopped.
    pub fn start_command(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut program = Self::spawn(dir, command(dir, args), variables);
        program.wait_until_ready();
        program
    }

    fn spawn(dir: &Path, mut command: Command, variables: &[(&str, &str)]) -> Self {
        command.env("TWOFOLD_SERVER__LISTEN", "127.0.0.1:0").envs(variables.iter().copied());
        command.stdout(File::create(dir.join("stdout")).expect("file"));
        command.stderr(File::create(dir.join("stderr")).expect("file"));
        let child = command.spawn().expect("it starts");
        Self { child, base: String::new(), dir: dir.to_owned() }
    }

    /// Returns what it says then.
    fn wait_until_ready(&mut self) -> String {
        let started = Instant::now();
        loop {
            let banner = self.stdout();
            if banner.contains("Stop with Ctrl-C") {
                return banner;
            }
            let ended = self.child.try_wait().expect("asked");
            assert!(ended.is_none(), "it ended: {}{banner}", self.stderr());
            assert!(started.elapsed() < LIMIT, "not ready: {}{banner}", self.stderr());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.dir.join("stdout")).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }

    /// The password of the first super-admin, if this start made one.
    pub fn first_password(&self) -> Option<String> {
        let text = self.stdout();
        let line = text.lines().find(|line| line.trim().starts_with("password"))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                return status;
            }
            assert!(started.elapsed() < LIMIT, "it does not stop: {}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process id of the embedded PostgreSQL of a data directory.
pub fn postgres_pid(data: &Path) -> Pid {
    let text = fs::read_to_string(data.join("postmaster.pid")).expect("it runs");
    let pid = text.lines().next().and_then(|line| line.parse().ok());
    Pid::from_raw(pid.expect("a number")).expect("a process")
}

/// Waits until a process that is not our child is gone.
pub fn wait_until_gone(pid: Pid) {
    let started = Instant::now();
    while rustix::process::test_kill_process(pid).is_ok() {
        // A zombie whose parent has not collected it counts as gone.
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        if stat.is_ok_and(|stat| stat.contains(") Z ")) {
            return;
        }
        assert!(started.elapsed() < LIMIT, "process {pid:?} still runs");
        thread::sleep(Duration::from_millis(10));
    }
}
