//! HTTP over one connection of any kind, and certificates for it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring, pki_types::CertificateDer,
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
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

/// A certificate for `localhost` that signs itself.
pub struct Certificate(rcgen::CertifiedKey<rcgen::KeyPair>);

impl Certificate {
    pub fn make() -> Self {
        Self(rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate"))
    }

    pub fn der(&self) -> &CertificateDer<'static> {
        self.0.cert.der()
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
