//! What the HTTP edge holds under hostile and excessive load: `cargo bench --bench edge`, on Linux.
//!
//! Starts the release build on a private database, loads it over loopback, and prints a table, also
//! to `target/edge.txt`. Figures that depend on the machine are ratios of runs side by side. With
//! names of parts behind `--` only those run: `hostile`, `slow`, `overload`, `readiness`.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

mod cores;
mod hostile;
mod load;
#[path = "../support/memory.rs"]
mod memory;
mod overload;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../../tests/it/support/program.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod program;
mod readiness;
#[path = "../support/report.rs"]
mod report;
mod server;
mod slow;

use cores::Cores;
use report::Report;

fn main() {
    allow_many_files();
    let cores = Cores::split();
    // Before the runtime: its threads run where this one does.
    cores.be_client();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    for _ in 0..runtime.metrics().num_workers() {
        runtime.spawn(stay_awake());
    }
    runtime.block_on(run(&cores));
}

async fn run(cores: &Cores) {
    // Cargo passes `--bench`.
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|one| one == name);
    let mut report = Report::new("edge", &cores.to_string());
    if is_chosen("hostile") {
        hostile::run(&mut report, cores).await;
    }
    if is_chosen("slow") {
        slow::run(&mut report, cores).await;
    }
    if is_chosen("overload") {
        overload::run(&mut report, cores).await;
    }
    if is_chosen("readiness") {
        readiness::run(&mut report, cores).await;
    }
    report.finish();
}

/// Keeps the clients' cores awake: to wake one that sleeps is work of who sends to it. That would be
/// the server, and on a virtual machine most of what an answer costs.
async fn stay_awake() {
    loop {
        tokio::task::yield_now().await;
    }
}

/// Thousands of connections need as many file descriptors.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("the limit of open files can be raised");
}
