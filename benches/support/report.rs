//! The table that is printed, and whether every condition held.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process,
};

pub struct Report {
    file: PathBuf,
    text: String,
    failed: usize,
    all: usize,
}

impl Report {
    /// Of a bench of this name; `how` says in a few words how the machine is used.
    pub fn new(bench: &str, how: &str) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let memory = read("/proc/meminfo");
        let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let kernel = read("/proc/sys/kernel/osrelease");
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let file = target.join(format!("{bench}.txt"));
        let mut report = Self { file, text: String::new(), failed: 0, all: 0 };
        let memory = memory.unwrap_or_default() / 1024 / 1024;
        report.line(&format!("{how}, {memory} GiB, Linux {}\n", kernel.trim()));
        report
    }

    pub fn line(&mut self, line: &str) {
        println!("{line}");
        let _ = writeln!(self.text, "{line}");
    }

    /// One condition, what was seen, and whether it holds.
    pub fn condition(&mut self, what: &str, seen: &str, holds: bool) {
        self.failed += usize::from(!holds);
        self.all += 1;
        let verdict = if holds { "holds" } else { "FAILS" };
        self.line(&format!("{verdict}  {what:<58} {seen}"));
    }

    /// Writes the file and ends with 1 if a condition failed.
    pub fn finish(mut self) {
        let (failed, all) = (self.failed, self.all);
        self.line(&format!("\n{} of {all} conditions hold", all - failed));
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).expect("made");
        }
        fs::write(&self.file, self.text).expect("written");
        if failed > 0 {
            process::exit(1);
        }
    }
}
