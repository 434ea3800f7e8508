//! Which cores the clients run on, and which ones the server: what making the load costs isn't the
//! server's.

use std::fmt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of this process, halved.
pub struct Cores {
    clients: CpuSet,
    server: CpuSet,
}

impl Cores {
    /// Both have all of it on a machine with one core.
    pub fn split() -> Self {
        let all = sched_getaffinity(None).expect("the kernel tells");
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        let (clients, server) = cores.split_at(cores.len() / 2);
        if clients.is_empty() {
            return Self { clients: all, server: all };
        }
        let set = |cores: &[usize]| {
            let mut set = CpuSet::new();
            for core in cores {
                set.set(*core);
            }
            set
        };
        Self { clients: set(clients), server: set(server) }
    }

    /// Has this thread, and those that it starts, run where the clients do.
    pub fn be_client(&self) {
        sched_setaffinity(None, &self.clients).expect("cores of this process");
    }

    /// Runs `start`, the processes of which run on the server's cores.
    pub fn as_server<T>(&self, start: impl FnOnce() -> T) -> T {
        sched_setaffinity(None, &self.server).expect("cores of this process");
        let started = start();
        self.be_client();
        started
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clients, server) = (self.clients.count(), self.server.count());
        write!(f, "cores: {clients} for the clients, {server} for the server and its database")
    }
}
