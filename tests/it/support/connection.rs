//! HTTP over one connection of any kind, and certificates for it.

use std::{fs, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use twofold::server::TlsFiles;

/// Sends one request and reads the answer: a status and JSON.
pub async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    is_http2: bool,
    request: Request<Full<Bytes>>,
) -> (u16, Value) {
    let io = TokioIo::new(stream);
    let answer: Response<Incoming> = if is_http2 {
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    } else {
        let (mut sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    };
    let (status, body) = (answer.status().as_u16(), answer.into_body());
    let body = body.collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// Connects over TLS to `localhost` with one version of it, trusting `trusted` and offering
/// `protocol` by ALPN.
pub async fn connect_tls(
    address: &str,
    trusted: &Certificate,
    version: &'static SupportedProtocolVersion,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).expect("a certificate");
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = "localhost".try_into().expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// A request for whether the process is alive.
pub fn live(scheme: &str) -> Request<Full<Bytes>> {
    let uri = format!("{scheme}://localhost/health/live");
    Request::get(uri).header("host", "localhost").body(Full::default()).expect("a request")
}

/// A GET by HTTP/1.1.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// Reads one answer by HTTP/1.1: its head and its body, which has a length.
pub async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        let read = within(stream.read_line(&mut line)).await.expect("a line");
        assert_ne!(read, 0, "closed after {head:?}");
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().expect("a number");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    within(stream.read_exact(&mut body)).await.expect("a body");
    (head, String::from_utf8(body).expect("UTF-8"))
}

/// Waits until the server closes the connection; returns what it sent until then.
pub async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut sent = Vec::new();
    // A reset closes it as well.
    let _ = within(stream.read_to_end(&mut sent)).await;
    sent
}

/// What must happen, in a time that even a busy machine keeps.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("it happens")
}

/// A certificate for `localhost` that signs itself.
pub struct Certificate(rcgen::CertifiedKey<rcgen::KeyPair>);

impl Certificate {
    pub fn make() -> Self {
        Self(rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate"))
    }

    pub fn der(&self) -> &CertificateDer<'static> {
        self.0.cert.der()
    }

    /// Ends TLS with it in front of this port on loopback; returns the port to connect to.
    pub async fn in_front_of(&self, port: u16) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
        let own_port = listener.local_addr().expect("bound").port();
        let acceptor = self.acceptor();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        own_port
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![self.der().clone()], key).expect("a pair");
        TlsAcceptor::from(Arc::new(config))
    }

    /// Writes it and its key into a folder.
    pub fn write(&self, folder: &Path) -> TlsFiles {
        let files = TlsFiles {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            check_every: Duration::from_millis(1),
        };
        fs::write(&files.certificate, self.0.cert.pem()).expect("written");
        fs::write(&files.key, self.0.signing_key.serialize_pem()).expect("written");
        files
    }
}
