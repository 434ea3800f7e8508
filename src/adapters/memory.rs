//! Values that this process keeps for a while, in bounded memory.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::clock::Clock;

/// Keeps values until their time is over, or there is no more room for them.
pub struct Memory<K, V> {
    clock: Clock,
    /// What all values may weigh together.
    room: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    kept: HashMap<K, Kept<V>>,
    weight: usize,
}

struct Kept<V> {
    value: V,
    weight: usize,
    until: Instant,
}

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    /// An empty one.
    #[must_use]
    pub fn new(room: usize, clock: Clock) -> Self {
        let state = Mutex::new(State { kept: HashMap::new(), weight: 0 });
        Self { clock, room, state }
    }

    /// The value, while its time is not over.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        let now = self.clock.moment();
        let state = self.state();
        state.kept.get(key).filter(|kept| now < kept.until).map(|kept| kept.value.clone())
    }

    /// Keeps a value until then, by the [`moment`](Clock::moment)s of the clock. What finds no room has others
    /// go: those whose time is over, and where that isn't enough, all.
    pub fn set(&self, key: K, value: V, weight: usize, until: Instant) {
        let now = self.clock.moment();
        let mut state = self.state();
        state.remove(&key);
        if state.weight + weight > self.room {
            state.kept.retain(|_, kept| now < kept.until);
            state.weight = state.kept.values().map(|kept| kept.weight).sum();
            // Choosing who goes would cost more than what has to be fetched again. Half of the room stays free,
            // for otherwise the next one would go through all of them again.
            if state.weight + weight > self.room / 2 {
                (state.weight, state.kept) = (0, HashMap::new());
            }
        }
        if weight <= self.room {
            state.weight += weight;
            state.kept.insert(key, Kept { value, weight, until });
        }
    }

    /// Forgets a value.
    pub fn remove(&self, key: &K) {
        self.state().remove(key);
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> State<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(kept) = self.kept.remove(key) {
            self.weight -= kept.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;

    const LIFE: Duration = Duration::from_secs(1);

    #[test]
    fn a_value_is_there_until_its_time_is_over_or_it_is_removed() {
        let clock = Clock::default();
        let memory = Memory::new(100, clock.clone());
        memory.set("a", 1, 1, clock.moment() + LIFE);
        memory.set("b", 2, 1, clock.moment() + LIFE * 60);
        assert_eq!((memory.get(&"a"), memory.get(&"b")), (Some(1), Some(2)));
        memory.set("b", 3, 1, clock.moment() + LIFE * 60);
        clock.advance(TimeDelta::seconds(1));
        assert_eq!((memory.get(&"a"), memory.get(&"b")), (None, Some(3)));
        memory.remove(&"b");
        memory.remove(&"c");
        assert_eq!(memory.get(&"b"), None);
    }

    #[test]
    fn its_values_never_weigh_more_than_there_is_room_for() {
        let clock = Clock::default();
        let memory = Memory::new(100, clock.clone());
        let weight = || {
            let state = memory.state();
            let weight = state.kept.values().map(|kept| kept.weight).sum::<usize>();
            assert_eq!(state.weight, weight);
            weight
        };
        for number in 0..1000 {
            memory.set(number % 150, number, 1 + number % 30, clock.moment() + LIFE);
            assert_eq!(memory.get(&(number % 150)), Some(number), "the last one is there");
            assert!(weight() <= 100, "{}", weight());
        }
        memory.set(0, 0, 101, clock.moment() + LIFE);
        assert_eq!(memory.get(&0), None, "too large");

        // Those whose time is over go first.
        let memory = Memory::new(100, clock.clone());
        memory.set(1, 1, 40, clock.moment() + LIFE * 60);
        memory.set(2, 2, 60, clock.moment() + LIFE);
        clock.advance(TimeDelta::seconds(1));
        memory.set(3, 3, 5, clock.moment() + LIFE);
        assert_eq!((memory.get(&1), memory.get(&2), memory.get(&3)), (Some(1), None, Some(3)));
        memory.set(4, 4, 60, clock.moment() + LIFE);
        assert_eq!((memory.get(&1), memory.get(&4)), (None, Some(4)));
    }
}
