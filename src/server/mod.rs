//! Listens and serves until it is told to stop, then lets requests in flight finish.

mod answer;
mod ask;
mod burst;
mod closing;
mod connection;
mod limits;
mod listen;
mod listener;
mod network;
mod paced;
mod streams;
mod tls;
mod unix;
mod watched;

use std::{future::Future, pin::pin};

use poem::{Endpoint, Response};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

pub use ask::ask;
use burst::{Backoff, Burst};
use connection::Server;
pub use limits::{Limits, affordable_connections};
pub use listen::{BadListen, Listen};
use listener::Accepted;
pub use listener::{ListenError, Listener};
pub use network::Network;
pub use tls::{TlsError, TlsFiles};

/// Serves HTTP/1.1 and HTTP/2 until `stop` resolves, and then until what is in flight is answered.
///
/// When there are as many connections as there may be, new ones wait in the kernel's queue: a
/// moment later there may be room, and refusing them would take the same files and more work.
pub async fn serve(
    listener: Listener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let server = Server::new(endpoint, &listener, limits);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let (mut acceptor, mut full) = (Acceptor::new(listener), Burst::default());
    let mut stop = pin!(stop);
    loop {
        let has_room = connections.len() < limits.connections;
        if !has_room && full.is_news() {
            tracing::warn!("{} connections: new ones have to wait", limits.connections);
        }
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            client = acceptor.accept(), if has_room => {
                connections.spawn(server.clone().serve(client, stopped.clone()));
            }
        }
    }
    drop(acceptor);
    let _ = stopping.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain, all).await.is_err() {
        tracing::warn!("{} connections were cut: they took too long", connections.len());
        connections.shutdown().await;
    }
}

/// Accepts clients, whatever fails.
struct Acceptor {
    listener: Listener,
    failures: Burst,
    backoff: Backoff,
}

impl Acceptor {
    fn new(listener: Listener) -> Self {
        Self { listener, failures: Burst::default(), backoff: Backoff::default() }
    }

    /// Waits for the next client. Dropping the future loses none.
    async fn accept(&mut self) -> Accepted {
        loop {
            match self.listener.accept().await {
                Ok(client) => {
                    self.backoff.succeeded();
                    return client;
                }
                // The process has no open file left, most likely.
                Err(error) => {
                    if self.failures.is_news() {
                        tracing::warn!("can't accept connections for the moment: {error}");
                    }
                    sleep(self.backoff.failed()).await;
                }
            }
        }
    }
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
