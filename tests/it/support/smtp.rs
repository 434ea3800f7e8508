//! A real SMTP server on loopback, from the `mailin` protocol library.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use mailin::{Action, Handler, Response, SessionBuilder, response};

/// A mail as the server got it.
#[derive(Debug, Clone, Default)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

/// What the server got, and whom it refuses.
#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    refused: BTreeSet<String>,
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
        self.shared.received.lock().expect("lock").push(std::mem::take(&mut self.current));
        response::OK
    }
}

impl SmtpServer {
    /// Listens on a port of its own; mail to the refused addresses is answered 550.
    pub fn start(refused: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("address"), refused)
    }

    pub fn start_at(address: SocketAddr, refused: &[&str]) -> Self {
        let listener = TcpListener::bind(address).expect("bound");
        let address = listener.local_addr().expect("address");
        let refused = refused.iter().map(ToString::to_string).collect();
        let shared = Arc::new(Shared { refused, ..Shared::default() });
        let for_thread = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = for_thread.clone();
                thread::spawn(move || serve(&stream, shared));
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

fn serve(stream: &TcpStream, shared: Arc<Shared>) -> Option<()> {
    let peer = stream.peer_addr().ok()?.ip();
    let mailbox = Mailbox { shared, current: Received::default() };
    let mut session = SessionBuilder::new("test").build(peer, mailbox);
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let (mut answer, mut line) = (session.greeting(), Vec::new());
    loop {
        if answer.action != Action::NoReply {
            let mut text = Vec::new();
            answer.write_to(&mut text).ok()?;
            if text.starts_with(b"550") {
                // As most servers do, it repeats what it refuses.
                text = [b"550 5.1.1 refused ", line.trim_ascii(), b"\r\n"].concat();
            }
            writer.write_all(&text).ok()?;
        }
        if answer.action == Action::Close {
            return None;
        }
        line.clear();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        answer = session.process(&line);
    }
}
