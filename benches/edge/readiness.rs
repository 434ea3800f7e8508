//! 1,000 callers of the readiness endpoint, and how often the database is asked because of them.

use std::{fs, path::Path, time::Duration};

use crate::{
    cores::Cores,
    load::{closed, request, with_status},
    postgres,
    report::Report,
    server::Server,
};

const CALLERS: usize = 1000;
const TIME: Duration = Duration::from_secs(5);

pub async fn run(report: &mut Report, cores: &Cores) {
    report.line(&format!("{CALLERS} parallel readiness calls, again and again for {TIME:?}"));
    let folder = tempfile::tempdir().expect("directory");
    let postgres =
        postgres::start(folder.path(), &["log_statement=all", "log_destination=stderr"]).await;
    let server = Server::start(cores, &[("DATABASE_URL", &postgres.url())], 0).await;
    let before = probes(folder.path());
    let ready = request("GET", "/health/ready", None, None);
    let samples = closed(server.address, &ready, CALLERS, TIME).await;
    let probed = probes(folder.path()) - before;
    let calls = with_status(&samples, 200).len();
    let seen = format!("{probed} probes for {calls} calls of {}", samples.len());
    // One may fall on each end of the time.
    let allowed = usize::try_from(TIME.as_secs()).expect("small") + 1;
    report.condition(
        "at most one probe a second",
        &seen,
        (1..=allowed).contains(&probed) && calls == samples.len(),
    );
    report.line("");
}

/// How often the log of the server tells of a probe.
fn probes(folder: &Path) -> usize {
    let mut found = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir()
                && path.file_name().is_some_and(|name| name == "postgres" || name == "log")
            {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "log") {
                let log = fs::read_to_string(path).unwrap_or_default();
                found += log.matches("statement: SELECT 1").count();
            }
        }
    }
    found
}
