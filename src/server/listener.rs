//! Accepts connections over TCP, TLS and a Unix socket alike.

use std::{io, time::Duration};

use poem::{
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Listen,
    listen::reachable,
    tls::{TlsError, TlsFiles, server_config},
    unix::{self, SocketFile},
};

/// A client that hasn't finished its TLS handshake by then is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait after an error, which the next try would most likely meet as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the product can't listen. Each message tells what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("can't listen on {listen}: {error}{}", advice(.error))]
    Bind { listen: Listen, error: io::Error },
    #[error("{0} has no TLS; unset server.tls_certificate_file and server.tls_key_file")]
    NoTlsHere(Listen),
    #[error("TLS can't be set up")]
    Tls(#[from] TlsError),
}

impl ListenError {
    /// Whether another process listens there.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Bind { error, .. } if error.kind() == io::ErrorKind::AddrInUse)
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop what listens there, or set TWOFOLD_SERVER__LISTEN",
        io::ErrorKind::AlreadyExists => "; move it away, or set TWOFOLD_SERVER__LISTEN",
        io::ErrorKind::NotFound => "; make its folder first, or set TWOFOLD_SERVER__LISTEN",
        _ => "",
    }
}

/// Both ways of one connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A client that is connected, its TLS handshake done.
pub struct Connection {
    pub stream: Box<dyn Stream>,
    pub remote: RemoteAddr,
}

enum Socket {
    Tcp {
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
    },
    /// The file goes first: what is there after the listener may be a successor's.
    Unix {
        _file: SocketFile,
        listener: UnixListener,
    },
}

/// What connections come in by.
pub struct Listener {
    socket: Socket,
    address: LocalAddr,
    /// They run beside each other, so that a slow client holds up nobody.
    handshakes: JoinSet<Option<Connection>>,
}

impl Listener {
    /// Listens at the address; over TLS by the given files.
    ///
    /// # Errors
    /// [`ListenError`], with what to do about it.
    pub async fn bind(listen: &Listen, tls: Option<TlsFiles>) -> Result<Self, ListenError> {
        let failed = |error| ListenError::Bind { listen: listen.clone(), error };
        let tls = tls.map(server_config).transpose()?;
        let (socket, address) = match listen {
            Listen::Tcp(address) => {
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?.into();
                (Socket::Tcp { listener, tls: tls.map(TlsAcceptor::from) }, address)
            }
            Listen::Unix(_) if tls.is_some() => {
                return Err(ListenError::NoTlsHere(listen.clone()));
            }
            Listen::Unix(path) => {
                let (file, listener) = unix::bind(path).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?.into();
                (Socket::Unix { _file: file, listener }, address)
            }
        };
        Ok(Self { socket, address: LocalAddr(address), handshakes: JoinSet::new() })
    }

    /// What the addresses of pages start with, such as `https://127.0.0.1:8001`; none for a Unix
    /// socket, which no browser can open.
    #[must_use]
    pub fn base_url(&self) -> Option<String> {
        let address = reachable(*self.address.as_socket_addr()?);
        Some(format!("{}://{address}", self.scheme()))
    }

    fn scheme(&self) -> Scheme {
        match self.socket {
            Socket::Tcp { tls: Some(_), .. } => Scheme::HTTPS,
            _ => Scheme::HTTP,
        }
    }

    /// Waits for the next client. Dropping the future loses none.
    pub async fn accept(&mut self) -> Connection {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(done) = self.handshakes.join_next() => {
                    match done {
                        Ok(Some(connection)) => return connection,
                        _ => continue,
                    }
                }
            };
            match (accepted, &self.socket) {
                (Ok(connection), Socket::Tcp { tls: Some(tls), .. }) => {
                    self.handshakes.spawn(handshake(tls.clone(), connection));
                }
                (Ok(connection), _) => return connection,
                (Err(error), _) => {
                    tracing::warn!("can't accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp { listener, .. } => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole: waiting for more would only delay them. A client
                // that is gone already, where this fails, is found out when it is read from.
                let _ = stream.set_nodelay(true);
                Ok(Connection { stream: Box::new(stream), remote: RemoteAddr(peer.into()) })
            }
            Self::Unix { listener, .. } => {
                let (stream, peer) = listener.accept().await?;
                Ok(Connection { stream: Box::new(stream), remote: RemoteAddr(peer.into()) })
            }
        }
    }
}

async fn handshake(tls: TlsAcceptor, connection: Connection) -> Option<Connection> {
    let Connection { stream, remote } = connection;
    let failed = match timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
        Ok(Ok(stream)) => return Some(Connection { stream: Box::new(stream), remote }),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done within {HANDSHAKE_LIMIT:?}"),
    };
    tracing::debug!("the TLS handshake of {remote} failed: {failed}");
    None
}

/// The listener in the hands of poem's server.
impl Acceptor for Listener {
    type Io = Box<dyn Stream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![self.address.clone()]
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let Connection { stream, remote } = Listener::accept(self).await;
        Ok((stream, self.address.clone(), remote, self.scheme()))
    }
}
