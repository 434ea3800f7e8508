//! What a worker has taken and not yet given back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::jobs::work::{Held, Progress};

/// A job that has been taken, until its end has been noted.
#[derive(Debug)]
pub struct Entry {
    pub id: Uuid,
    pub lease: i32,
    taken: Instant,
    /// Whoever does it is asked to end.
    pub cancelled: CancellationToken,
    /// Another worker has it by now, or is to have it: nothing of it counts any more.
    pub lost: CancellationToken,
    news: Mutex<Option<(u8, String)>>,
}

impl Entry {
    pub fn new(id: Uuid, lease: i32) -> Self {
        let (cancelled, lost) = (CancellationToken::new(), CancellationToken::new());
        Self { id, lease, taken: Instant::now(), cancelled, lost, news: Mutex::default() }
    }

    /// How far it is.
    pub fn tell(&self, percent: u8, message: String) {
        *lock(&self.news) = Some((percent, message));
    }

    /// What has been told since the last time.
    fn news(&self) -> Option<Progress> {
        let (percent, message) = lock(&self.news).take()?;
        let (id, lease) = (self.id, self.lease);
        Some(Progress { id, lease, percent: percent.into(), message: Some(message) })
    }
}

/// All that a worker has.
#[derive(Debug, Default)]
pub struct Running(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Uuid, Arc<Entry>>,
    /// The database says that we have them, and we don't know of them.
    unknown: Vec<(Uuid, i32)>,
}

impl Running {
    pub fn add(&self, entry: Arc<Entry>) {
        lock(&self.0).entries.insert(entry.id, entry);
    }

    /// Its end has been noted, unless it was taken again meanwhile.
    pub fn remove(&self, id: Uuid, lease: i32) {
        let mut state = lock(&self.0);
        if state.entries.get(&id).is_some_and(|entry| entry.lease == lease) {
            state.entries.remove(&id);
        }
    }

    pub fn len(&self) -> usize {
        lock(&self.0).entries.len()
    }

    /// What those that run have told since the last time.
    pub fn news(&self) -> Vec<Progress> {
        lock(&self.0).entries.values().filter_map(|entry| entry.news()).collect()
    }

    /// All of it goes to others.
    pub fn lose_all(&self) {
        lock(&self.0).entries.values().for_each(|entry| entry.lost.cancel());
    }

    /// Compares what we know with what the database said when it was asked at `asked`: those to end are
    /// told, those that others have are lost. Returns what nobody here knows, also not the last time: the
    /// answer that gave them to us was lost.
    pub fn reconcile(&self, held: &[Held], asked: Instant) -> Vec<(Uuid, i32)> {
        let mut state = lock(&self.0);
        for entry in state.entries.values() {
            match held.iter().find(|held| (held.id, held.lease) == (entry.id, entry.lease)) {
                Some(held) if held.cancel_requested => entry.cancelled.cancel(),
                // What was taken since then isn't in the answer yet.
                None if entry.taken < asked => entry.lost.cancel(),
                Some(_) | None => {}
            }
        }
        let is_known = |held: &Held| {
            state.entries.get(&held.id).is_some_and(|entry| entry.lease == held.lease)
        };
        let unknown: Vec<(Uuid, i32)> =
            held.iter().filter(|held| !is_known(held)).map(|held| (held.id, held.lease)).collect();
        let before = std::mem::replace(&mut state.unknown, unknown);
        state.unknown.iter().filter(|one| before.contains(one)).copied().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(1);

    fn held(lease: i32, cancel_requested: bool) -> Held {
        Held { id: ID, lease, cancel_requested }
    }

    #[test]
    fn what_the_database_says_is_what_counts() {
        let (running, before) = (Running::default(), Instant::now());
        let entry = Arc::new(Entry::new(ID, 2));
        running.add(entry.clone());
        let later = entry.taken + std::time::Duration::from_secs(1);
        running.reconcile(&[], before);
        assert!(!entry.lost.is_cancelled(), "it was asked before the job was taken");
        running.reconcile(&[held(2, true)], later);
        assert!(entry.cancelled.is_cancelled() && !entry.lost.is_cancelled());
        assert!(running.reconcile(&[held(3, false)], later).is_empty());
        assert!(entry.lost.is_cancelled(), "it was taken again");
        running.remove(ID, 1);
        assert_eq!(running.len(), 1, "another lease");
        running.remove(ID, 2);
        assert_eq!(running.len(), 0);
    }

    #[test]
    fn what_nobody_knows_twice_is_given_back() {
        let (running, now) = (Running::default(), Instant::now());
        assert!(running.reconcile(&[held(1, false)], now).is_empty(), "it may be on its way");
        assert_eq!(running.reconcile(&[held(1, false)], now), [(ID, 1)]);
        assert!(running.reconcile(&[held(2, false)], now).is_empty());
    }
}
