//! The SMTP server of the tests as a process of its own, which can be killed.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use super::smtp::SmtpServer;

const ADDRESS: &str = "TWOFOLD_TEST_SMTP_ADDRESS";
const LOG: &str = "TWOFOLD_TEST_SMTP_LOG";

/// What the process runs, as a test of this binary: nothing else starts it.
#[test]
#[ignore = "a part of SmtpProcess"]
fn serve() {
    let (Ok(address), Some(log)) = (env::var(ADDRESS), env::var_os(LOG)) else { return };
    let _server = SmtpServer::start_logging(address.parse().expect("address"), Path::new(&log));
    loop {
        thread::park();
    }
}

/// A server that can be killed and started again; killed when dropped.
pub struct SmtpProcess {
    pub address: SocketAddr,
    log: PathBuf,
    child: Child,
}

impl SmtpProcess {
    /// Keeps what it gets in `folder`.
    pub fn start(folder: &Path) -> Self {
        // A port on which nobody listens any more.
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("address");
        drop(listener);
        let log = folder.join("received");
        let process = Self { address, child: spawn(address, &log), log };
        process.wait_until_it_listens();
        process
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("collected");
    }

    pub fn start_again(&mut self) {
        self.child = spawn(self.address, &self.log);
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&self) {
        for _ in 0..1000 {
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not listen");
    }

    /// The recipient and the `Message-ID` of each mail so far.
    pub fn received(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let pair = |line: &str| {
            let (to, id) = line.split_once(' ')?;
            Some((to.to_owned(), id.to_owned()))
        };
        text.lines().filter_map(pair).collect()
    }
}

fn spawn(address: SocketAddr, log: &Path) -> Child {
    let mut command = Command::new(env::current_exe().expect("this binary"));
    command
        .args(["--exact", "support::smtp_process::serve", "--ignored"])
        .env(ADDRESS, address.to_string())
        .env(LOG, log)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("it starts")
}

impl Drop for SmtpProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
