//! When the kernel gives the program's threads a core.

use std::fs;

use crate::support::program::{self, Program};

/// `SCHED_OTHER` and `SCHED_BATCH` (sched(7)).
const OTHER: &str = "0";
const BATCH: &str = "3";

/// Name, parent and policy of a process or thread (proc_pid_stat(5)).
fn stat(dir: &str) -> Option<(String, u32, String)> {
    let text = fs::read_to_string(format!("{dir}/stat")).ok()?;
    let (before, after) = text.rsplit_once(") ")?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split(' ').collect();
    Some((name, fields.get(1)?.parse().ok()?, (*fields.get(38)?).to_owned()))
}

fn below(dir: &str) -> Vec<(String, u32, String)> {
    let names = fs::read_dir(dir).expect("a directory").flatten();
    let paths = names.map(|entry| entry.path().to_string_lossy().into_owned());
    paths.filter_map(|path| stat(&path)).collect()
}

#[test]
fn what_serves_interrupts_neither_the_database_nor_anybody_else() {
    let dir = program::dir();
    let program = Program::start(dir.path(), &[]);
    let pid = program.pid().as_raw_nonzero().get();
    let threads = below(&format!("/proc/{pid}/task"));
    assert!(threads.len() > 2 && threads.iter().all(|(.., policy)| policy == BATCH), "{threads:?}");
    let parent = u32::try_from(pid).expect("positive");
    let processes = below("/proc");
    let children: Vec<_> = processes.iter().filter(|(_, of, _)| *of == parent).collect();
    assert!(
        !children.is_empty() && children.iter().all(|(.., policy)| policy == OTHER),
        "{children:?}"
    );
}
