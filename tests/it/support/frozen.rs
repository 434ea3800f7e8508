//! A PostgreSQL, or a part of it, that neither dies nor answers.

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::Client;
use twofold::embedded::postgres::Postgres;

use super::cluster::connect;

/// Processes of a server, stopped (SIGSTOP). Dropped, they go on where they were.
pub struct Frozen(Vec<Pid>);

fn pid(raw: i32) -> Pid {
    Pid::from_raw(raw).expect("a process id")
}

impl Frozen {
    /// All of them.
    pub async fn freeze(postgres: &Postgres) -> Self {
        let client = connect(&postgres.url()).await;
        let mut frozen = Self(Vec::new());
        // First the one that makes the others.
        let server = i32::try_from(postgres.pid().expect("it runs")).expect("a process id");
        frozen.stop(pid(server));
        frozen.stop_sessions(&client, "true").await;
        frozen
    }

    /// Only the sessions of a database that listen.
    pub async fn listeners(url: &str) -> Self {
        let mut frozen = Self(Vec::new());
        let listen = "datname = current_database() AND query LIKE 'LISTEN%'";
        frozen.stop_sessions(&connect(url).await, listen).await;
        frozen
    }

    async fn stop_sessions(&mut self, client: &Client, condition: &str) {
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {condition}"
        );
        for row in client.query(&sql, &[]).await.expect("asked") {
            self.stop(pid(row.get(0)));
        }
    }

    fn stop(&mut self, pid: Pid) {
        // Some end by themselves meanwhile.
        if kill_process(pid, Signal::STOP).is_ok() {
            self.0.push(pid);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}
