//! How much memory the server needs for large files: `cargo bench --bench files`; `TWOFOLD_BENCH_FILE_BYTES` is another
//! size of the largest.
//!
//! Starts the release build with an S3 server in a process of its own, and then with the embedded one, by which all bytes
//! go through the server. Uploads 5 GiB in presigned parts, four at once, has them put together and their checksum
//! compared, and downloads them; and 100 MiB by way of the server. Prints what was seen, also to `target/files.txt`,
//! and fails where a condition doesn't hold. Needs 12 GB of disk.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

#[path = "../support/memory.rs"]
mod memory;
#[path = "../../tests/it/support/program.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod program;
#[path = "../support/report.rs"]
mod report;
#[path = "../../tests/it/support/s3.rs"]
mod s3;
mod uploads;

use program::Program;
use report::Report;
use s3::S3;
use serde_json::Value;
use uploads::User;

const LARGE: u64 = 5 << 30;
const STREAMED: u64 = 100 << 20;
/// In MiB.
const MOST: u64 = 100;

fn large() -> u64 {
    let size = std::env::var("TWOFOLD_BENCH_FILE_BYTES");
    size.map_or(LARGE, |size| size.parse().expect("a number of bytes"))
}

#[tokio::main]
async fn main() {
    let mut report = Report::new("files", "a server and one client");
    let process = S3::start().await;
    let variables = process.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    measure(&mut report, "S3 in a process of its own", &variables).await;
    drop(process);
    measure(&mut report, "embedded S3", &[]).await;
    report.finish();
}

async fn measure(report: &mut Report, storage: &str, more: &[(&str, &str)]) {
    let dir = program::dir();
    let variables = [
        ("TWOFOLD_ENV", "test"),
        ("TWOFOLD_LOG__FILTER", "warn"),
        // Some machines take long.
        ("TWOFOLD_AUTH__CLIENT__ACCESS_SECONDS", "7200"),
    ];
    let variables = [&variables, more].concat();
    let program = Program::start(dir.path(), &variables);
    let seeded = program::run(dir.path(), &["seed", "--users", "1", "--json"], &variables);
    assert!(seeded.status.success(), "{}", program::stderr(&seeded));
    let seeded: Value = serde_json::from_slice(&seeded.stdout).expect("JSON");
    let password = seeded["password"].as_str().expect("a password");
    let user = User::sign_in(&program.base, "user000001@demo.example", password).await;
    let peak = program.peak_mib();
    program.reset_peak();
    let rest = program.peak_mib();
    report.line(&format!(
        "{storage}: {rest} MiB before anything is uploaded, {peak} MiB while it started"
    ));
    let size = large();
    let mut condition = |what: &str, size: u64, seen: &str, is_right: bool| {
        let peak = program.peak_mib();
        let what = format!("{} MiB {what}: less than {MOST} MiB", size >> 20);
        report.condition(&what, &format!("{peak} MiB, {seen}"), is_right && peak < MOST);
        program.reset_peak();
    };
    let (file, seen) = user.upload_in_parts(size).await;
    condition("in presigned parts, put together", size, &seen, file["state"] == "ready");
    let (sha256, seen) = user.download(&file).await;
    condition("downloaded", size, &seen, file["sha256"] == sha256.as_str());
    let (file, seen) = user.stream(STREAMED).await;
    condition("by way of the server", STREAMED, &seen, file["state"] == "ready");
}
