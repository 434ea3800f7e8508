//! Tells workers that there is something to do, in this process and in others.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::db::{Bus, Topic};

/// Wakes workers. Clones share it.
#[derive(Clone)]
pub struct Waker {
    here: Arc<Notify>,
    bus: Bus,
}

impl Waker {
    /// Wakes those in other processes by the bus, and hears what they tell.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        let here = Arc::new(Notify::new());
        let heard = here.clone();
        bus.hear(Topic::Jobs, move |_| heard.notify_one());
        Self { here, bus }
    }

    /// Jobs have been committed that are due.
    pub fn wake(&self) {
        self.here.notify_one();
        self.bus.tell_of_jobs();
    }

    /// Resolves when there may be something to do here.
    pub async fn woken(&self) {
        self.here.notified().await;
    }
}
