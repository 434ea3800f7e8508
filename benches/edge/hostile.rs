//! 64 hostile bodies at once, kind by kind, and the memory that they take.

use std::{collections::BTreeMap, io::Write, net::SocketAddr, sync::Arc, time::Duration};

use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{cores::Cores, report::Report, server::Server};

const AT_ONCE: usize = 64;
const LIMIT_MIB: u64 = 256;
/// Whatever is not answered by then is cut off by this side.
const PATIENCE: Duration = Duration::from_secs(30);
const MIB: usize = 1024 * 1024;

/// A body: its headers, a piece, and how often the piece is sent.
struct Body {
    name: &'static str,
    headers: String,
    piece: Vec<u8>,
    times: usize,
}

fn bodies() -> Vec<Body> {
    let plain = |name, piece: Vec<u8>, times: usize| {
        let headers = format!("Content-Length: {}\r\n", piece.len() * times);
        Body { name, headers, piece, times }
    };
    let chunk = |data: &[u8]| {
        let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
        chunk.extend_from_slice(data);
        chunk.extend_from_slice(b"\r\n");
        chunk
    };
    let chunked = |name, data: &[u8], times| {
        let headers = "Transfer-Encoding: chunked\r\n".to_owned();
        Body { name, headers, piece: chunk(data), times }
    };
    let text = vec![b'a'; MIB];
    let bomb = bomb();
    let bomb_headers = |length| format!("Content-Encoding: gzip\r\nContent-Length: {length}\r\n");
    let repeated = |unit: &[u8]| unit.repeat((MIB - 64) / unit.len());
    let nested = |unit: &[u8]| [b"[", &*repeated(unit), b"0]"].concat();
    let mut objects = b"{".to_vec();
    for index in 0..100_000 {
        let _ = write!(objects, "\"{index}\":0,");
    }
    objects.truncate(MIB - 16);
    vec![
        plain("200 MB, declared", text.clone(), 200),
        chunked("200 MB, chunked", &text, 200),
        chunked("chunked without end", &[b'a'; 1024], usize::MAX),
        Body {
            name: "gzip bomb of 1 GiB",
            headers: bomb_headers(bomb.len()),
            piece: bomb,
            times: 1,
        },
        plain("1 MiB of nesting", vec![b'['; MIB - 1], 1),
        plain("1 MiB of numbers", nested(b"0,"), 1),
        plain("1 MiB of empty lists", nested(b"[],"), 1),
        plain("1 MiB of empty texts", nested(b"\"\","), 1),
        plain("1 MiB of fields", objects, 1),
    ]
}

fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; MIB];
    for _ in 0..1024 {
        encoder.write_all(&zeros).expect("memory");
    }
    encoder.finish().expect("memory")
}

pub async fn run(report: &mut Report, cores: &Cores) {
    report.line(&format!("Hostile bodies, {AT_ONCE} at once"));
    let server = Server::start(cores, &[], 0).await;
    for body in bodies() {
        server.program.reset_peak();
        let (name, body) = (body.name, Arc::new(body));
        let sent = (0..AT_ONCE).map(|_| tokio::spawn(send(server.address, body.clone())));
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for task in sent.collect::<Vec<_>>() {
            *statuses.entry(task.await.expect("a client")).or_default() += 1;
        }
        let peak = server.program.peak_mib();
        // Large bodies may have a quarter of the turns: some find none.
        let refused = statuses.keys().all(|status| (400..500).contains(status) || *status == 503);
        let seen = format!("peak {peak:>4} MiB of {LIMIT_MIB}, statuses {statuses:?}");
        report.condition(name, &seen, peak <= LIMIT_MIB && refused);
    }
    report.line("");
}

/// The status that a body is refused with; 0 when the connection ends without one, 1 when nothing
/// comes at all.
async fn send(address: SocketAddr, body: Arc<Body>) -> u16 {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{}\r\n",
        body.headers
    );
    let (mut reading, mut writing) = stream.split();
    let write = async {
        writing.write_all(head.as_bytes()).await?;
        for _ in 0..body.times {
            writing.write_all(&body.piece).await?;
        }
        std::io::Result::Ok(())
    };
    let read = async {
        let mut answer = Vec::new();
        while answer.len() < 12 {
            match reading.read_buf(&mut answer).await {
                Ok(0) | Err(_) => return 0,
                Ok(_) => {}
            }
        }
        String::from_utf8_lossy(&answer[9..12]).parse().unwrap_or(0)
    };
    let both = async {
        tokio::pin!(read);
        tokio::select! {
            status = &mut read => status,
            // The end of the writing is not the end: the answer may still be on its way.
            _ = write => read.await,
        }
    };
    timeout(PATIENCE, both).await.unwrap_or(1)
}
