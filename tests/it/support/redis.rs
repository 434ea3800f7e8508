//! A private Redis: `redis-server` as a process of its own, which can be killed, stopped and
//! started anew. What it has confirmed is on the disk.

use std::{
    net::Ipv4Addr,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use fred::{
    interfaces::ClientLike,
    types::{ClusterHash, CustomCommand, FromValue},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpListener;
use twofold::{
    adapters::redis::{self, Connection},
    embedded::child,
};

use super::redis_server;

/// How long it may take to start, or to answer.
const LIMIT: Duration = Duration::from_secs(30);

const PASSWORD: &str = "only-for-tests";

/// Killed when dropped.
pub struct Redis {
    child: Child,
    pub port: u16,
    dir: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let child = spawn(&dir, port);
        let mut redis = Self { child, port, dir };
        redis.wait_until_it_answers().await;
        redis
    }

    /// Of a server that was killed: on the same port, with the same data.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.dir, self.port);
        self.wait_until_it_answers().await;
    }

    async fn wait_until_it_answers(&mut self) {
        let started = Instant::now();
        while let Err(error) = self.client().ping().await {
            let ended = self.child.try_wait().expect("asked");
            assert!(ended.is_none() && started.elapsed() < LIMIT, "Redis doesn't start: {error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// The same where TLS is in front of it, at a port of `localhost`.
    pub fn url_with_tls(port: u16) -> String {
        format!("rediss://:{PASSWORD}@localhost:{port}")
    }

    fn client(&self) -> redis::Redis {
        redis::Redis::new(&self.url(), "").expect("an address")
    }

    /// A busy machine gets more time than the product has.
    pub async fn connect(&self) -> Connection {
        let started = Instant::now();
        loop {
            match self.client().connect().await {
                Ok(connection) => return connection,
                Err(error) => assert!(started.elapsed() < LIMIT, "Redis doesn't answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The answer to one command.
    pub async fn ask<T: FromValue>(&self, command: &'static str, arguments: &[&str]) -> T {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let command = CustomCommand::new_static(command, ClusterHash::FirstKey, false);
        self.connect().await.custom(command, arguments).await.expect("an answer")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// As the machine would, without a warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }
}

fn spawn(dir: &TempDir, port: u16) -> Child {
    // Ends with the thread of the test, however that ends.
    let program = Path::new(env!("CARGO_BIN_EXE_twofold"));
    child::command(program, None, redis_server::path())
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--requirepass", PASSWORD, "--save", "", "--appendonly", "yes"])
        .arg("--dir")
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server runs")
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
