//! Five times as much as the server can do.

use std::time::Duration;

use crate::{
    cores::Cores,
    load::{closed, open, percentile, rate, request, with_status},
    report::Report,
    server::Server,
};

const TIME: Duration = Duration::from_secs(5);
const FACTOR: f64 = 5.0;
const CONNECTIONS: usize = 1000;

pub async fn run(report: &mut Report, cores: &Cores) {
    report.line("Overload: a page of 100 of 1,000 users, at five times the peak");
    let server = Server::start(cores, &[], 1000).await;
    let path = "/api/v1/backoffice/users?per_page=100";
    let page = request("GET", path, Some(&server.admin_token), None);
    closed(server.address, &page, 32, Duration::from_secs(2)).await;
    let mut peak = 0.0_f64;
    for connections in [8, 16, 32, 64] {
        let samples = closed(server.address, &page, connections, TIME).await;
        peak = peak.max(rate(&with_status(&samples, 200), TIME));
    }

    let samples = open(server.address, &page, peak * FACTOR, CONNECTIONS, TIME).await;
    let (good, refused) = (with_status(&samples, 200), with_status(&samples, 503));
    let others = samples.len() - good.len() - refused.len();
    let goodput = rate(&good, TIME) / peak;
    let offered = rate(&samples, TIME);
    let seen = format!("{goodput:.2} (peak {peak:.0}/s, offered {offered:.0}/s, others {others})");
    report.condition("goodput / peak >= 0.9", &seen, goodput >= 0.9 && others == 0);
    let accepted = percentile(&good, 99);
    report.condition(
        "accepted p99 <= 500 ms",
        &format!("{accepted:.0?}"),
        accepted.as_millis() <= 500,
    );
    let (half, most) = (percentile(&refused, 50), percentile(&refused, 99));
    let seen = format!("p50 {half:.1?}, p99 {most:.1?} of {}", refused.len());
    report.condition("refusals within 50 ms", &seen, most.as_millis() <= 50);

    let samples = closed(server.address, &page, 32, TIME).await;
    let after = rate(&with_status(&samples, 200), TIME) / peak;
    let seen = format!("{after:.2} of the peak in the 5 s afterwards");
    report.condition("normal again at once", &seen, after >= 0.9);
    report.line("");
}
