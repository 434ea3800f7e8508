//! Lists of 1,000,000 users and of as many entries of the audit log: `cargo bench --bench lists`.
//!
//! Starts the release build on a private database. Asks for the first page and for a deep one by cursor, in turns, by
//! each column that a list can be sorted by: both must cost the same. Exports both lists: the server's memory must
//! not grow with the file. Prints what was seen, also to `target/lists.txt`, and fails where a condition doesn't hold.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

#[path = "../edge/cores.rs"]
mod cores;
#[path = "../edge/load.rs"]
#[expect(dead_code, reason = "the bench of the edge uses the rest")]
mod load;
#[path = "../support/memory.rs"]
mod memory;
#[path = "../support/pages.rs"]
mod pages;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../../tests/it/support/program.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod program;
#[path = "../support/report.rs"]
mod report;
#[path = "../edge/server.rs"]
#[expect(dead_code, reason = "the bench of the edge uses the rest")]
mod server;

use std::time::Instant;

use cores::Cores;
use futures_util::StreamExt;
use load::request;
use report::Report;
use server::Server;
use twofold::db::migrations;

const ROWS: usize = 1_000_000;
/// How many pages of 100 rows there are before the deep one.
const DEEP: usize = 2000;
/// After so many lines of a file memory may hardly grow any more.
const WARM: usize = 100_000;
const MOST_GROWTH: f64 = 1.1;

const SEEDS: [&str; 4] = [
    include_str!("../../tests/it/support/many_users.sql"),
    "VACUUM ANALYZE users",
    include_str!("../../tests/it/support/many_audit_logs.sql"),
    "VACUUM audit_logs",
];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("directory");
    let mut postgres =
        postgres::start(folder.path(), &["maintenance_work_mem=256MB", "max_wal_size=4GB"]).await;
    let url = postgres.url();
    seed(&url).await;

    let cores = Cores::split();
    let mut report = Report::new("lists", &cores.to_string());
    let log = ("TWOFOLD_LOG__FILTER", "warn");
    let variables = [("TWOFOLD_ENV", "test"), ("DATABASE_URL", url.as_str()), log];
    let server = Server::start(&cores, &variables, 0).await;
    // While the sign-in is recent.
    export(&mut report, &server, "users").await;
    export(&mut report, &server, "audit-logs").await;
    report.line("");
    pages::heading(&mut report, DEEP);
    let sorts = ["-created_at", "created_at", "email", "-name", "last_login_at", "-last_login_at"];
    for sort in sorts {
        compare(&mut report, &server, "users", sort).await;
    }
    for sort in ["-created_at", "created_at"] {
        compare(&mut report, &server, "audit-logs", sort).await;
    }
    drop(server);
    postgres.stop();
    // Which may end the process.
    drop(folder);
    report.finish();
}

/// Makes a database with many of everything.
async fn seed(url: &str) {
    let started = Instant::now();
    migrations::up(&url.to_owned().into()).await.expect("migrated");
    let (sql, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connected");
    tokio::spawn(connection);
    for statement in SEEDS {
        let statement = statement.replace(":count", &ROWS.to_string());
        sql.batch_execute(&statement).await.expect("done");
    }
    println!("{ROWS} users and as many entries of the audit log in {:.0?}\n", started.elapsed());
}

/// Reads a list as a file, and looks at the server's memory meanwhile.
async fn export(report: &mut Report, server: &Server, list: &str) {
    let started = Instant::now();
    server.program.reset_peak();
    let url = format!("{}/api/v1/backoffice/{list}/export", server.program.base);
    let client = reqwest::Client::new();
    let answer = client.get(url).bearer_auth(&server.admin_token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut chunks = answer.bytes_stream();
    let (mut lines, mut bytes, mut warm) = (0, 0, None);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.expect("a part of the file");
        bytes += chunk.len();
        lines += chunk.split(|byte| *byte == b'\n').count() - 1;
        if lines >= WARM && warm.is_none() {
            warm = Some(server.program.peak_mib());
        }
    }
    let (warm, peak) = (warm.expect("a long file"), server.program.peak_mib());
    let growth = ratio(peak, warm);
    let seen = format!(
        "{lines} lines, {} MB in {:.0?}; memory {warm} MiB at {WARM}, {peak} MiB in all: {growth:.2}",
        bytes / 1_000_000,
        started.elapsed()
    );
    let what = format!("a file of all {list} keeps memory flat");
    report.condition(&what, &seen, lines > ROWS && growth <= MOST_GROWTH);
}

fn ratio(a: u64, b: u64) -> f64 {
    let float = |number: u64| f64::from(u32::try_from(number).expect("small"));
    float(a) / float(b)
}

async fn compare(report: &mut Report, server: &Server, list: &str, sort: &str) {
    let ask = |cursor: Option<&str>| {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path = format!("/api/v1/backoffice/{list}?per_page=100&sort={sort}{cursor}");
        request("GET", &path, Some(&server.admin_token), None)
    };
    let name = format!("{list} by {sort}");
    pages::compare(report, server.address, (&name, DEEP), ask).await;
}
