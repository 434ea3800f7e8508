//! How many requests may wait for a turn: as many as will get one in time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Measures how fast turns are given while there are none left.
#[derive(Debug)]
pub(super) struct Queue {
    /// How long a request may wait.
    wait: Duration,
    /// How many may while the pace isn't known: a burst is mostly one of short requests.
    at_first: usize,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    waiting: usize,
    /// Since when, and when last, there was no turn left.
    full: Option<(Instant, Instant)>,
    /// When the present period began, and the turns given since.
    period: Instant,
    given: usize,
    /// The turns of the period before.
    before: usize,
}

/// Held by a request that waits.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a Queue);

impl Queue {
    pub fn new(wait: Duration, at_first: usize) -> Self {
        let period = Instant::now();
        let pace = Pace { waiting: 0, full: None, period, given: 0, before: 0 };
        Self { wait, at_first, pace: Mutex::new(pace) }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn has been given.
    pub fn gave(&self) {
        self.pace().given += 1;
    }

    /// A place, if whoever comes now, without a turn, can have one in time.
    pub fn enter(&self, now: Instant) -> Option<Place<'_>> {
        let mut pace = self.pace();
        let places = pace.places(now, self.wait).unwrap_or(self.at_first);
        (pace.waiting < places).then(|| {
            pace.waiting += 1;
            Place(self)
        })
    }
}

impl Pace {
    /// As many as got a turn in a time as long as the wait, once there was none left for so long.
    fn places(&mut self, now: Instant, wait: Duration) -> Option<usize> {
        let still_full = self.full.filter(|(_, last)| now.saturating_duration_since(*last) <= wait);
        let since = still_full.map_or(now, |(since, _)| since);
        self.full = Some((since, now));
        if still_full.is_none() || now.saturating_duration_since(self.period) >= wait {
            (self.period, self.before, self.given) = (now, self.given, 0);
        }
        let is_known = now.saturating_duration_since(since) >= wait;
        is_known.then(|| self.before.max(self.given).max(1))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.pace().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(10);

    fn enter(queue: &Queue, now: Instant, times: usize) -> Vec<Place<'_>> {
        (0..times).map_while(|_| queue.enter(now)).collect()
    }

    #[test]
    fn as_many_wait_as_get_a_turn_in_time() {
        let (queue, start) = (Queue::new(WAIT, 5), Instant::now());
        let places = enter(&queue, start, 9);
        assert_eq!(places.len(), 5, "the pace is not known yet");
        for _ in 0..3 {
            queue.gave();
        }
        drop(places);
        assert_eq!(enter(&queue, start + WAIT, 9).len(), 3);
        // Faster in the period that has begun.
        for _ in 0..4 {
            queue.gave();
        }
        assert_eq!(enter(&queue, start + WAIT * 3 / 2, 9).len(), 4);
        assert_eq!(enter(&queue, start + WAIT * 2, 9).len(), 4);
        // Nothing was given any more: one may hope.
        assert_eq!(enter(&queue, start + WAIT * 3, 9).len(), 1);
    }

    #[test]
    fn who_leaves_makes_room_and_a_quiet_time_forgets_the_pace() {
        let (queue, start) = (Queue::new(WAIT, 2), Instant::now());
        let mut places = enter(&queue, start, 9);
        assert!(queue.enter(start).is_none());
        places.pop();
        assert!(queue.enter(start).is_some());
        places.clear();
        assert_eq!(enter(&queue, start + WAIT, 9).len(), 1);
        assert_eq!(enter(&queue, start + WAIT * 2 + WAIT / 10, 9).len(), 2);
    }
}
