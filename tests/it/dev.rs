//! `dev`, on a package of a few lines: real changes, real builds.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::program::{command, dir, postgres_pid, wait_until_gone};

/// A program that says which version it is, and which database it was given.
fn write_source(dir: &Path, version: &str) {
    let source = format!(
        "fn main() {{
            let url = std::env::var(\"DATABASE_URL\").unwrap();
            let line = format!(\"{version} {{}} {{url}}\", std::process::id());
            std::fs::write(\"said\", line).unwrap();
            loop {{ std::thread::park() }}
        }}"
    );
    fs::write(dir.join("src/main.rs"), source).expect("file");
}

/// Waits until the program says that it is this version; its process.
fn wait_for(dir: &Path, version: &str) -> Pid {
    wait(|| {
        let said = fs::read_to_string(dir.join("said")).unwrap_or_default();
        let mut words = said.split(' ');
        let is_it = words.next() == Some(version) && said.contains("dbname=twofold");
        words.next()?.parse().ok().filter(|_| is_it).and_then(Pid::from_raw)
    })
}

fn wait<T>(look: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(started.elapsed() < Duration::from_mins(2), "nothing came");
        thread::sleep(Duration::from_millis(20));
    }
}

struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_change_rebuilds_and_restarts_while_the_database_stays_up() {
    let dir = dir();
    let path = dir.path();
    fs::create_dir(path.join("src")).expect("directory");
    let manifest =
        "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(path.join("Cargo.toml"), manifest).expect("file");
    write_source(path, "first");

    let mut dev: Command = command(path, &["dev"]);
    dev.env("HOME", std::env::var_os("HOME").unwrap_or_default());
    for name in ["CARGO", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(name) {
            dev.env(name, value);
        }
    }
    let log = fs::File::create(path.join("stderr")).expect("file");
    let mut dev = Stopped(dev.stdout(Stdio::null()).stderr(log).spawn().expect("it starts"));
    let first = wait_for(path, "first");
    let postgres = postgres_pid(&path.join(".data/postgres/data"));

    write_source(path, "second");
    let second = wait_for(path, "second");
    wait_until_gone(first);
    assert_eq!(postgres_pid(&path.join(".data/postgres/data")), postgres, "it stayed up");

    // What can't be built changes nothing.
    fs::write(path.join("src/main.rs"), "fn main() { nonsense }").expect("file");
    wait(|| {
        fs::read_to_string(path.join("stderr"))
            .expect("log")
            .contains("the build failed")
            .then_some(())
    });
    assert!(rustix::process::test_kill_process(second).is_ok(), "what ran before goes on");
    write_source(path, "third");
    let third = wait_for(path, "third");
    wait_until_gone(second);

    kill_process(Pid::from_child(&dev.0), Signal::INT).expect("it runs");
    assert_eq!(dev.0.wait().expect("ended").code(), Some(0));
    wait_until_gone(third);
    wait_until_gone(postgres);
}

#[test]
fn elsewhere_it_says_where_it_works() {
    let dir = dir();
    let output = command(dir.path(), &["dev"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no Cargo.toml here"), "{said}");
    assert!(!dir.path().join(".data").exists());
}
