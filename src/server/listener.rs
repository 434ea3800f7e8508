//! Accepts connections over TCP, TLS and a Unix socket alike.

use std::{io, sync::Arc, time::Duration};

use poem::{
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Listen,
    listen::reachable,
    tls::{TlsError, TlsFiles, server_config},
    unix::{self, SocketFile},
    watched::{Activity, Watched},
};

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
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A client that has just connected.
pub(super) struct Accepted {
    socket: Client,
    pub remote: RemoteAddr,
}

enum Client {
    Tcp(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Unix(UnixStream),
}

impl Accepted {
    /// The connection once its TLS handshake is done, where there is one. The socket below tells
    /// `activity` what goes through it; its client may send for so long after the last answer.
    pub async fn stream(
        self,
        activity: &Arc<Activity>,
        linger: Duration,
    ) -> io::Result<Box<dyn Stream>> {
        let activity = activity.clone();
        Ok(match self.socket {
            Client::Tcp(socket) => Box::new(Watched::new(socket, activity, linger)),
            Client::Tls(socket, tls) => {
                Box::new(tls.accept(Watched::new(socket, activity, linger)).await?)
            }
            Client::Unix(socket) => Box::new(Watched::new(socket, activity, linger)),
        })
    }
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
    pub(super) address: LocalAddr,
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
        Ok(Self { socket, address: LocalAddr(address) })
    }

    /// What the addresses of pages start with, such as `https://127.0.0.1:8001`; none for a Unix
    /// socket, which no browser can open.
    #[must_use]
    pub fn base_url(&self) -> Option<String> {
        let address = reachable(*self.address.as_socket_addr()?);
        Some(format!("{}://{address}", self.scheme()))
    }

    pub(super) fn scheme(&self) -> Scheme {
        match self.socket {
            Socket::Tcp { tls: Some(_), .. } => Scheme::HTTPS,
            _ => Scheme::HTTP,
        }
    }

    /// Waits for the next client. Dropping the future loses none.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match &self.socket {
            Socket::Tcp { listener, tls } => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole: waiting for more would only delay them. A client
                // that is gone already, where this fails, is found out when it is read from.
                let _ = stream.set_nodelay(true);
                let socket = match tls {
                    Some(tls) => Client::Tls(stream, tls.clone()),
                    None => Client::Tcp(stream),
                };
                Accepted { socket, remote: RemoteAddr(peer.into()) }
            }
            Socket::Unix { listener, .. } => {
                let (stream, peer) = listener.accept().await?;
                Accepted { socket: Client::Unix(stream), remote: RemoteAddr(peer.into()) }
            }
        })
    }
}
