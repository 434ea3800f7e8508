//! A PostgreSQL that neither dies nor answers.

use rustix::process::{Pid, Signal, kill_process};
use twofold::embedded::postgres::Postgres;

use super::cluster::connect;

/// All processes of a server, stopped (SIGSTOP). Dropped, they go on where they were.
pub struct Frozen(Vec<Pid>);

impl Frozen {
    pub async fn freeze(postgres: &Postgres) -> Self {
        let client = connect(&postgres.url()).await;
        let pid = |raw| Pid::from_raw(raw).expect("a process id");
        let mut frozen = Self(Vec::new());
        // First the one that makes the others.
        let server = i32::try_from(postgres.pid().expect("it runs")).expect("a process id");
        frozen.stop(pid(server));
        let sql = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        let rest = client.query(sql, &[]).await.expect("asked");
        for row in rest {
            frozen.stop(pid(row.get(0)));
        }
        frozen
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
