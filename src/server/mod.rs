//! Listens and serves until it is told to stop, then lets requests in flight finish.

mod ask;
mod listen;
mod listener;
mod tls;
mod unix;

use std::{future::Future, io, time::Duration};

use poem::{Endpoint, Response, Server};

pub use ask::ask;
pub use listen::{BadListen, Listen};
pub use listener::{ListenError, Listener};
pub use tls::{TlsError, TlsFiles};

/// A connection without a request for this long is closed.
const IDLE: Duration = Duration::from_secs(75);

/// Serves HTTP/1.1 and HTTP/2 until `stop` resolves, and then at most `drain` longer.
///
/// # Errors
/// When the listener can't be used.
pub async fn serve(
    listener: Listener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    stop: impl Future<Output = ()>,
    drain: Duration,
) -> io::Result<()> {
    Server::new_with_acceptor(listener)
        .idle_timeout(IDLE)
        .run_with_graceful_shutdown(endpoint, stop, Some(drain))
        .await
}

/// Resolves at Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = interrupt.await;
        return;
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}
