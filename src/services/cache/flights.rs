//! Work that many want done at the same time, and one does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// What is under way, by key.
pub struct Flights<T>(Arc<Mutex<UnderWay<T>>>);

type UnderWay<T> = HashMap<String, watch::Receiver<Option<T>>>;

/// The part one has in it.
pub enum Boarded<T> {
    /// Nobody does it yet.
    First(Flight<T>),
    Waiting(Waiting<T>),
}

/// Held by who does it. Dropped without an outcome, whoever waits learns that there is none.
pub struct Flight<T> {
    /// `None`: it is under way no more.
    key: Option<String>,
    outcome: watch::Sender<Option<T>>,
    flights: Arc<Mutex<UnderWay<T>>>,
}

/// Held by who waits for it.
pub struct Waiting<T>(watch::Receiver<Option<T>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Flights<T> {
    /// Joins what is under way, or begins it.
    pub fn board(&self, key: &str) -> Boarded<T> {
        let mut under_way = lock(&self.0);
        if let Some(outcome) = under_way.get(key) {
            return Boarded::Waiting(Waiting(outcome.clone()));
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(key.to_owned(), receiver);
        Boarded::First(Flight {
            key: Some(key.to_owned()),
            outcome: sender,
            flights: self.0.clone(),
        })
    }
}

impl<T> Flight<T> {
    /// Hands the outcome to all who wait. Who asks from then on begins anew.
    pub fn land(mut self, outcome: T) {
        self.end();
        self.outcome.send_replace(Some(outcome));
    }

    fn end(&mut self) {
        if let Some(key) = self.key.take() {
            lock(&self.flights).remove(&key);
        }
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<T: Clone> Waiting<T> {
    /// The outcome; `None` where it failed, or was given up.
    pub async fn landed(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

fn lock<T>(flights: &Mutex<UnderWay<T>>) -> MutexGuard<'_, UnderWay<T>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}
