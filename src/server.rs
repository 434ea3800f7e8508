//! Listens and serves until it is told to stop, then lets requests in flight finish.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use poem::{Endpoint, Response, Server, listener::TcpAcceptor};
use tokio::net::TcpListener;

/// A connection without a request for this long is closed.
const IDLE: Duration = Duration::from_secs(75);

/// Binds the address.
///
/// # Errors
/// With the address and what to do when it is in use.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; stop what listens there, or set TWOFOLD_SERVER__LISTEN",
            _ => "",
        };
        io::Error::new(error.kind(), format!("can't listen on {address}: {error}{advice}"))
    })
}

/// Serves until `stop` resolves, and then at most `drain` longer.
///
/// # Errors
/// When the listener can't be used.
pub async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    stop: impl Future<Output = ()>,
    drain: Duration,
) -> io::Result<()> {
    Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?)
        .idle_timeout(IDLE)
        .run_with_graceful_shutdown(endpoint, stop, Some(drain))
        .await
}

/// Resolves at Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
