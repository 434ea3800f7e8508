//! Tells workers that there is something to do, in this process and in others.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes workers. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Waker {
    here: Arc<Notify>,
    elsewhere: Arc<Notify>,
}

impl Waker {
    /// Jobs have been committed that are due.
    pub fn wake(&self) {
        self.here.notify_one();
        self.elsewhere.notify_one();
    }

    /// Another process says so: only those here are to be woken.
    pub fn wake_here(&self) {
        self.here.notify_one();
    }

    /// Resolves when there may be something to do here.
    pub async fn woken(&self) {
        self.here.notified().await;
    }

    /// Resolves when other processes are to be told.
    pub async fn to_tell(&self) {
        self.elsewhere.notified().await;
    }
}
