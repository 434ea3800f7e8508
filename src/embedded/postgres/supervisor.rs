//! Keeps the server running: one thread starts it, waits for its end, and starts it again.

use std::{
    fs, io,
    path::Path,
    process::{Child, Command},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    super::child,
    Options, PostgresError,
    binaries::Binaries,
    cluster::connect,
    place::{Place, open_to_append},
};

pub(super) const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a fast shutdown may take before an immediate one is asked for.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Pause before a server that died is started again; it doubles while starts keep failing.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// A server that ran for longer has not failed to start.
const STABLE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    pid: Option<u32>,
    stopping: bool,
}

pub(super) struct Supervisor {
    state: Arc<Mutex<State>>,
    thread: JoinHandle<()>,
    ended: mpsc::Receiver<()>,
}

impl Supervisor {
    /// Starts the server and returns when it accepts connections.
    pub(super) async fn start(
        binaries: &Binaries,
        place: &Place,
        options: &Options,
    ) -> Result<Self, PostgresError> {
        let make = command_maker(binaries, place, options);
        let state = Arc::new(Mutex::new(State::default()));
        let (first_end, failed) = mpsc::channel();
        let (at_end, ended) = mpsc::channel();
        let shared = state.clone();
        // This thread is the parent in the eyes of the kernel: it lives as long as the server.
        let thread = thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || {
                supervise(&make, &shared, &first_end);
                let _ = at_end.send(());
            })
            .map_err(PostgresError::io("can't start PostgreSQL in", place.base()))?;
        let supervisor = Self { state, thread, ended };
        match wait_until_ready(place, &failed).await {
            Ok(()) => Ok(supervisor),
            Err(error) => {
                supervisor.stop();
                Err(error)
            }
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        lock(&self.state).pid
    }

    pub(super) fn stop(self) {
        {
            let mut state = lock(&self.state);
            state.stopping = true;
            signal(state.pid, Signal::INT);
        }
        // It may be waiting to start the server again.
        self.thread.thread().unpark();
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(STOP_LIMIT) {
            tracing::warn!("PostgreSQL takes long to stop: stopping it at once");
            signal(lock(&self.state).pid, Signal::QUIT);
        }
        let _ = self.thread.join();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signal(pid: Option<u32>, signal: Signal) {
    if let Some(pid) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        let _ = kill_process(pid, signal);
    }
}

/// Runs the server until it is asked to stop; `first_end` hears of each end meanwhile.
fn supervise(
    make: &impl Fn() -> io::Result<Command>,
    state: &Mutex<State>,
    first_end: &mpsc::Sender<()>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let start = Instant::now();
        let started: io::Result<Child> = {
            let mut state = lock(state);
            if state.stopping {
                return;
            }
            let started = make().and_then(|mut command| command.spawn());
            state.pid = started.as_ref().ok().map(Child::id);
            started
        };
        let ended = started.and_then(|mut child| child.wait());
        let stopping = {
            let mut state = lock(state);
            state.pid = None;
            state.stopping
        };
        if stopping {
            return;
        }
        let _ = first_end.send(());
        match ended {
            Ok(status) => tracing::error!(%status, "PostgreSQL ended: starting it again"),
            Err(error) => tracing::error!(%error, "PostgreSQL can't be started: trying again"),
        }
        pause = if start.elapsed() > STABLE { FIRST_PAUSE } else { pause };
        thread::park_timeout(pause);
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

fn command_maker(
    binaries: &Binaries,
    place: &Place,
    options: &Options,
) -> impl Fn() -> io::Result<Command> + use<> {
    let (postgres, place, options) = (binaries.postgres(), place.clone(), options.clone());
    move || {
        let log = open_to_append(&place.log_file())?;
        let mut command = child::command(&options.own_binary, place.account(), &postgres);
        place.clean(&mut command);
        command.arg("-D").arg(place.data()).arg("-k").arg(place.socket_dir());
        let ours = [
            "listen_addresses=",
            "port=5432",
            "max_connections=100",
            "unix_socket_permissions=0700",
            // Without the lines of detail, which hold values.
            "log_error_verbosity=terse",
        ];
        for setting in ours.into_iter().chain(options.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

async fn wait_until_ready(place: &Place, failed: &mpsc::Receiver<()>) -> Result<(), PostgresError> {
    let started = Instant::now();
    while connect(place, "postgres").await.is_err() {
        if failed.try_recv().is_ok() || started.elapsed() > START_LIMIT {
            // On a full disk it can't write to its log either.
            if is_full(place.base()) {
                return Err(PostgresError::NoSpace(place.base().to_owned()));
            }
            let log = place.log_file();
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(10)..].join("\n");
            return Err(PostgresError::Start { log, tail });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Whether the disk has less free than a file of the write-ahead log takes.
fn is_full(dir: &Path) -> bool {
    const WAL_FILE: u64 = 16 << 20;
    rustix::fs::statvfs(dir).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < WAL_FILE)
}
