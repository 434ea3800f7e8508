//! 2,000 slow connections, and what others notice of them.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::sleep,
};

use crate::{
    cores::Cores,
    load::{Exchange, closed, median, percentile, request, with_status},
    report::Report,
    server::Server,
};

const SLOW: usize = 2000;
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(3);

pub async fn run(report: &mut Report, cores: &Cores) {
    report.line(&format!(
        "{SLOW} slow connections (heads, bodies, answers not read) beside {CONNECTIONS} others"
    ));
    let server = Server::start(cores, &[], 0).await;
    let read = server.guarded_read();
    let large = request("GET", &script_path(server.address).await, None, None);
    closed(server.address, &read, CONNECTIONS, TIME).await;
    let (mut alone, mut beside, mut failures) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let samples = closed(server.address, &read, CONNECTIONS, TIME).await;
        alone.push(percentile(&samples, 99).as_secs_f64() * 1000.0);
        let slow = connect(server.address, &large);
        sleep(Duration::from_secs(1)).await;
        let samples = closed(server.address, &read, CONNECTIONS, TIME).await;
        beside.push(percentile(&samples, 99).as_secs_f64() * 1000.0);
        failures += samples.len() - with_status(&samples, 200).len();
        drop(slow);
        sleep(Duration::from_millis(500)).await;
    }
    let (alone, beside) = (median(alone), median(beside));
    let ratio = beside / alone;
    let seen = format!("{ratio:.2} ({beside:.2} ms to {alone:.2} ms), failures {failures}");
    report.condition(
        "p99 of the others, ratio <= 2, no failures",
        &seen,
        ratio <= 2.0 && failures == 0,
    );
    let peak = server.program.peak_mib();
    report.condition("memory <= 256 MiB", &format!("peak {peak} MiB"), peak <= 256);
    report.line("");
}

/// The largest file that there is: a script of the documentation pages.
async fn script_path(address: SocketAddr) -> String {
    let mut exchange = Exchange::connect(address).await.expect("it listens");
    let page = exchange.send(&request("GET", "/client/docs", None, None)).await.expect("a page");
    let page = String::from_utf8(page.body).expect("UTF-8");
    let start = page.find("/assets/swagger-ui.").expect("a script");
    let path = page[start..].split('"').next().expect("its end").to_owned();
    let file = exchange.send(&request("GET", &path, None, None)).await.expect("a file");
    assert!(file.status == 200 && file.body.len() > 100_000, "{path}: {}", file.status);
    path
}

/// They are taken up again whenever the server closes them, and end with the set.
fn connect(address: SocketAddr, large: &[u8]) -> JoinSet<()> {
    let mut set = JoinSet::new();
    for index in 0..SLOW {
        let large = large.to_vec();
        set.spawn(async move {
            loop {
                let Ok(mut stream) = connect_narrowly(address).await else {
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let start: &[u8] = match index % 3 {
                    0 => b"GET /api/v1/backoffice/auth/me HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
                    1 => {
                        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n\
                          Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n{"
                    }
                    // Larger than what the kernel takes for such a client, and never read.
                    _ => &large,
                };
                if stream.write_all(start).await.is_err() {
                    continue;
                }
                loop {
                    sleep(Duration::from_secs(1)).await;
                    if index % 3 != 2 && stream.write_all(b"a").await.is_err() {
                        break;
                    }
                }
            }
        });
    }
    set
}

/// With room for little of what is sent to it.
async fn connect_narrowly(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(address).await
}
