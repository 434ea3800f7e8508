//! A real SMTP server on loopback, from the `mailin` protocol library.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use mail_parser::{Message, MessageParser};
use mailin::{Action, Handler, Response, SessionBuilder, response};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A mail as the server got it.
#[derive(Debug, Clone, Default)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

impl Received {
    /// The mail as a program that reads mail sees it.
    pub fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(&self.data).expect("a mail")
    }
}

/// When a server encrypts.
#[derive(Clone)]
pub enum Tls {
    FromTheStart(Arc<ServerConfig>),
    AfterStartTls(Arc<ServerConfig>),
}

/// How a server behaves, and what it got.
#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    /// Recipients that it refuses.
    refused: BTreeSet<String>,
    /// Gets the mails, each before it is answered for.
    log: Option<Mutex<File>>,
    tls: Option<Tls>,
}

pub struct SmtpServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Mailbox {
    shared: Arc<Shared>,
    current: Received,
}

impl Handler for Mailbox {
    fn mail(&mut self, _ip: IpAddr, _domain: &str, from: &str) -> Response {
        self.current = Received { from: from.to_owned(), ..Received::default() };
        response::OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        if self.shared.refused.contains(to) {
            return response::NO_MAILBOX;
        }
        self.current.to.push(to.to_owned());
        response::OK
    }

    fn data(&mut self, buf: &[u8]) -> std::io::Result<()> {
        self.current.data += &String::from_utf8_lossy(buf);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let received = std::mem::take(&mut self.current);
        if let Some(log) = &self.shared.log {
            let id = received.parsed().message_id().expect("an id").to_owned();
            let line = format!("{} {id}\n", received.to.join(","));
            log.lock().expect("lock").write_all(line.as_bytes()).expect("written");
        }
        self.shared.received.lock().expect("lock").push(received);
        response::OK
    }
}

impl SmtpServer {
    /// Listens on a port of its own; mail to the refused addresses is answered 550.
    pub fn start(refused: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("address"), refused)
    }

    pub fn start_at(address: SocketAddr, refused: &[&str]) -> Self {
        let refused = refused.iter().map(ToString::to_string).collect();
        Self::start_with(address, Shared { refused, ..Shared::default() })
    }

    pub fn start_encrypted(tls: Tls) -> Self {
        let address = "127.0.0.1:0".parse().expect("address");
        Self::start_with(address, Shared { tls: Some(tls), ..Shared::default() })
    }

    /// Adds a line to the file for each mail: recipients and `Message-ID`.
    pub fn start_logging(address: SocketAddr, log: &Path) -> Self {
        let log = File::options().append(true).create(true).open(log).expect("a file");
        Self::start_with(address, Shared { log: Some(Mutex::new(log)), ..Shared::default() })
    }

    fn start_with(address: SocketAddr, shared: Shared) -> Self {
        let listener = TcpListener::bind(address).expect("bound");
        let address = listener.local_addr().expect("address");
        let shared = Arc::new(shared);
        let for_thread = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = for_thread.clone();
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("lock").clone()
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn encrypted(stream: &TcpStream, config: &Arc<ServerConfig>) -> Option<BufReader<Box<dyn Stream>>> {
    let connection = ServerConnection::new(config.clone()).ok()?;
    Some(BufReader::new(Box::new(StreamOwned::new(connection, stream.try_clone().ok()?))))
}

fn serve(stream: &TcpStream, shared: &Arc<Shared>) -> Option<()> {
    let peer = stream.peer_addr().ok()?.ip();
    let mailbox = Mailbox { shared: shared.clone(), current: Received::default() };
    let mut builder = SessionBuilder::new("test");
    let mut io: BufReader<Box<dyn Stream>> = match &shared.tls {
        Some(Tls::FromTheStart(config)) => encrypted(stream, config)?,
        Some(Tls::AfterStartTls(_)) => {
            builder.enable_start_tls();
            BufReader::new(Box::new(stream.try_clone().ok()?))
        }
        None => BufReader::new(Box::new(stream.try_clone().ok()?)),
    };
    let mut session = builder.build(peer, mailbox);
    let (mut answer, mut line) = (session.greeting(), Vec::new());
    loop {
        if answer.action != Action::NoReply {
            let mut text = Vec::new();
            answer.write_to(&mut text).ok()?;
            if text.starts_with(b"550") {
                // As most servers do, it repeats what it refuses.
                text = [b"550 5.1.1 refused ", line.trim_ascii(), b"\r\n"].concat();
            }
            io.get_mut().write_all(&text).ok()?;
            io.get_mut().flush().ok()?;
        }
        match (answer.action, &shared.tls) {
            (Action::Close, _) => return None,
            (Action::UpgradeTls, Some(Tls::AfterStartTls(config))) => {
                io = encrypted(stream, config)?;
                session.tls_active();
            }
            _ => {}
        }
        line.clear();
        if io.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        answer = session.process(&line);
    }
}
