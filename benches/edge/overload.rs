//! Five times as much as the server can do.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    cores::Cores,
    load::{Sample, closed, median, open, percentile, rate, request, with_status},
    report::Report,
    server::Server,
};

const USERS: u32 = 15_000;
const TIME: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 7;
/// With [`TIME`] the five seconds within which all is to be as before.
const RECOVERY: Duration = Duration::from_secs(2);
const FACTOR: f64 = 5.0;
const CONNECTIONS: usize = 1000;

/// Of the second, which is short, refusing four costs a notable part of answering one.
const WORK: [(&str, &str); 2] = [
    ("a search among 15,000 users", "/api/v1/backoffice/users?per_page=100&q=example"),
    ("a page of 100 users", "/api/v1/backoffice/users?per_page=100"),
];

pub async fn run(report: &mut Report, cores: &Cores) {
    let server = Server::start(cores, &[], USERS).await;
    for (name, path) in WORK {
        report.line(&format!("Overload: {name}, at {FACTOR} times the peak"));
        let request = request("GET", path, Some(&server.admin_token), None);
        measure(report, &server, &request).await;
        report.line("");
    }
}

async fn measure(report: &mut Report, server: &Server, request: &[u8]) {
    let at_peak = async |connections| {
        let samples = closed(server.address, request, connections, TIME).await;
        rate(&with_status(&samples, 200), TIME)
    };
    at_peak(32).await;
    let (mut connections, mut best) = (0, 0.0);
    for tried in [8, 16, 32, 64] {
        let found = at_peak(tried).await;
        if found > best {
            (connections, best) = (tried, found);
        }
    }
    let (mut peaks, mut afters) = (Vec::new(), Vec::new());
    let mut all: Vec<Sample> = Vec::new();
    for _ in 0..ROUNDS {
        let before = at_peak(connections).await;
        let samples = open(server.address, request, before * FACTOR, CONNECTIONS, TIME).await;
        sleep(RECOVERY).await;
        let after = at_peak(connections).await;
        // A machine's speed drifts; what it could do is what it did on both sides.
        let peak = f64::midpoint(before, after);
        peaks.push(peak);
        afters.push(after / before);
        all.extend(samples);
    }

    let (good, refused) = (with_status(&all, 200), with_status(&all, 503));
    let others = all.len() - good.len() - refused.len();
    let peak = peaks.iter().sum::<f64>() / f64::from(ROUNDS);
    let goodput = rate(&good, TIME * ROUNDS) / peak;
    let offered = rate(&all, TIME * ROUNDS);
    let seen = format!("{goodput:.2} (peak {peak:.0}/s, offered {offered:.0}/s, others {others})");
    report.condition("goodput / peak >= 0.9", &seen, goodput >= 0.9 && others == 0);
    let (half, most) = (percentile(&refused, 50), percentile(&refused, 99));
    let seen = format!("p50 {half:.1?}, p99 {most:.1?} of {}", refused.len());
    let is_told = !refused.is_empty() && most.as_millis() <= 50;
    report.condition("refusals within 50 ms", &seen, is_told);
    let (half, most) = (percentile(&good, 50), percentile(&good, 99));
    let seen = format!("p50 {half:.0?}, p99 {most:.0?}");
    report.condition("answers within 500 ms", &seen, most.as_millis() <= 500);
    let after = median(afters);
    let seen = format!("{after:.2} of what it was");
    report.condition("normal again within 5 s", &seen, after >= 0.9);
}
