//! Clients: one after the other on each connection, or at a given rate whatever happens.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The bytes of a request.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body = body.map_or_else(
        || "\r\n".to_owned(),
        |body| {
            let length = body.len();
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        },
    );
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}{body}").into_bytes()
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// One connection.
pub struct Exchange {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Exchange {
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, buffer: Vec::new() })
    }

    /// Sends a request and says how it went; connects again when the connection has ended.
    pub async fn sample(&mut self, request: &[u8]) -> Sample {
        let started = Instant::now();
        if let Ok(answer) = self.send(request).await {
            return (answer.status, started.elapsed());
        }
        let failed = (0, started.elapsed());
        *self = Self::connect(self.address).await.expect("it listens");
        failed
    }

    pub async fn send(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.read().await
    }

    /// Reads one answer, which must have a `Content-Length`.
    pub async fn read(&mut self) -> io::Result<Answer> {
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let text = String::from_utf8_lossy(&self.buffer[..head]).to_lowercase();
            let status = text.get(9..12).and_then(|status| status.parse().ok());
            let status = status.ok_or_else(|| io::Error::other("no status"))?;
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
            while self.buffer.len() < head + 4 + length {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok(Answer { status, body: self.buffer.split_off(head + 4) });
        }
    }
}

/// How one request went: its status (0 for none) and how long it took.
pub type Sample = (u16, Duration);

/// `connections` clients that send one request after the other for `time`.
pub async fn closed(
    address: SocketAddr,
    request: &[u8],
    connections: usize,
    time: Duration,
) -> Vec<Sample> {
    let request: Arc<[u8]> = request.into();
    let end = Instant::now() + time;
    let clients = (0..connections).map(|_| {
        let request = request.clone();
        tokio::spawn(async move {
            let mut samples = Vec::new();
            let mut exchange = Exchange::connect(address).await.expect("it listens");
            while Instant::now() < end {
                samples.push(exchange.sample(&request).await);
            }
            samples
        })
    });
    let mut samples = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        samples.extend(client.await.expect("a client"));
    }
    samples
}

/// `rate` requests a second for `time`, over `connections`. Latency counts from when a request was
/// sent: a generator that falls behind must not count that as the server's delay.
pub async fn open(
    address: SocketAddr,
    request: &[u8],
    rate: f64,
    connections: usize,
    time: Duration,
) -> Vec<Sample> {
    let request: Arc<[u8]> = request.into();
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let clients = (0..connections).map(|_| {
        let (request, next) = (request.clone(), next.clone());
        tokio::spawn(async move {
            let mut samples = Vec::new();
            let mut exchange = Exchange::connect(address).await.expect("it listens");
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                #[expect(clippy::cast_precision_loss, reason = "a few million at most")]
                let due = Duration::from_secs_f64(turn as f64 / rate);
                if due > time {
                    return samples;
                }
                tokio::time::sleep_until((started + due).into()).await;
                samples.push(exchange.sample(&request).await);
            }
        })
    });
    let mut samples = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        samples.extend(client.await.expect("a client"));
    }
    samples
}

/// The time within which `percent` of the samples were answered.
pub fn percentile(samples: &[Sample], percent: usize) -> Duration {
    let mut times: Vec<Duration> = samples.iter().map(|(_, took)| *took).collect();
    times.sort_unstable();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).copied().unwrap_or_default()
}

/// Those with this status.
pub fn with_status(samples: &[Sample], status: u16) -> Vec<Sample> {
    samples.iter().filter(|(found, _)| *found == status).copied().collect()
}

/// So many a second.
#[expect(clippy::cast_precision_loss, reason = "a few million at most")]
pub fn rate(samples: &[Sample], time: Duration) -> f64 {
    samples.len() as f64 / time.as_secs_f64()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
