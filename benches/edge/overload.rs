//! Five times as much as the server can do.

use std::time::Duration;

use crate::{
    cores::Cores,
    load::{Sample, closed, median, open, percentile, rate, request, with_status},
    report::Report,
    server::Server,
};

const USERS: u32 = 15_000;
const TIME: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 5;
const FACTOR: f64 = 5.0;
const CONNECTIONS: usize = 1000;
/// What is offered from the same connections, in turns, to find the peak: as parts of the saturation.
const NEAR_PEAK: [f64; 3] = [0.9, 1.0, 1.1];

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
    // What clients get that wait for each answer: about what can be offered without refusals.
    let mut saturation = 0.0_f64;
    for connections in [32, 8, 16, 32, 64] {
        let samples = closed(server.address, request, connections, TIME).await;
        saturation = saturation.max(rate(&with_status(&samples, 200), TIME));
    }
    let offer =
        async |factor| open(server.address, request, saturation * factor, CONNECTIONS, TIME).await;
    let goodput = |samples: &[Sample]| rate(&with_status(samples, 200), TIME);
    let (mut peaks, mut goodputs) = (Vec::new(), Vec::new());
    let mut all: Vec<Sample> = Vec::new();
    for _ in 0..ROUNDS {
        let mut peak = 0.0_f64;
        for factor in NEAR_PEAK {
            peak = peak.max(goodput(&offer(factor).await));
        }
        let samples = offer(FACTOR).await;
        peaks.push(peak);
        goodputs.push(goodput(&samples) / peak);
        all.extend(samples);
    }
    let after = goodput(&offer(1.0).await);

    let (good, refused) = (with_status(&all, 200), with_status(&all, 503));
    let others = all.len() - good.len() - refused.len();
    let (ratio, peak) = (median(goodputs), median(peaks));
    let offered = rate(&all, TIME * ROUNDS);
    let seen = format!(
        "{ratio:.2} (peak {peak:.0}/s, closed loop {saturation:.0}/s, offered {offered:.0}/s, others {others})"
    );
    report.condition("goodput / peak >= 0.9", &seen, ratio >= 0.9 && others == 0);
    let (half, most) = (percentile(&refused, 50), percentile(&refused, 99));
    let seen = format!("p50 {half:.1?}, p99 {most:.1?} of {}", refused.len());
    let is_told = !refused.is_empty() && most.as_millis() <= 50;
    report.condition("refusals within 50 ms", &seen, is_told);
    let (half, most) = (percentile(&good, 50), percentile(&good, 99));
    let seen = format!("p50 {half:.0?}, p99 {most:.0?}");
    report.condition("answers within 500 ms", &seen, most.as_millis() <= 500);
    let after = after / peak;
    let seen = format!("{after:.2} of the peak in the 3 s afterwards");
    report.condition("normal again at once", &seen, after >= 0.9);
}
