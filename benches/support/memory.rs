//! How much memory the program needs, on Linux.

use std::fs;

use crate::program::Program;

impl Program {
    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.pid().as_raw_nonzero())
    }

    /// The most memory that it has had since the last reset, in MiB.
    pub fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a number") / 1024
    }

    pub fn reset_peak(&self) {
        fs::write(self.proc("clear_refs"), "5").expect("the program is ours");
    }
}
