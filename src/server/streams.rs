//! HTTP/2's streams: each answer is taken by its client, or its stream is reset.
//!
//! A client withholds flow control from one stream while the connection works: what the socket
//! does says nothing about it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

tokio::task_local! {
    static STALL: Arc<Stall>;
}

/// Since when a client hasn't taken what it was given of an answer.
#[derive(Debug, Default)]
pub(super) struct Stall(Mutex<Option<Instant>>);

impl Stall {
    /// That of the stream which this task runs; none in HTTP/1.
    pub fn of_stream() -> Option<Arc<Self>> {
        STALL.try_with(Arc::clone).ok()
    }

    /// It's the client's turn: some of the answer was handed over.
    pub fn given(&self) {
        *self.since() = Some(Instant::now());
    }

    /// It's our turn: everything was taken.
    pub fn taken(&self) {
        *self.since() = None;
    }

    fn since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when it has been the client's turn for so long.
    async fn lasts(&self, limit: Duration) {
        loop {
            let deadline = self.since().unwrap_or_else(Instant::now) + limit;
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

/// Runs streams, each as a task of its own.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    /// How long a client may take nothing of its answer.
    pub write: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let limit = self.write;
        tokio::spawn(async move {
            let stall = Arc::new(Stall::default());
            tokio::select! {
                () = STALL.scope(stall.clone(), stream) => {}
                () = stall.lasts(limit) => tracing::debug!("nothing of the answer was taken"),
            }
        });
    }
}
