//! Refusals are many when there is too much to do, and logging each would make it more.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often they are logged.
const PERIOD: Duration = Duration::from_secs(1);

/// Marks an answer as a refusal.
#[derive(Clone)]
pub(super) struct Refused;

/// Counts what was refused.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    logged: Option<Instant>,
    count: u64,
}

impl Refusals {
    /// One more. Logged with those before it, once a second.
    pub fn note(&self) {
        if let Some(count) = self.due(Instant::now()) {
            tracing::warn!(count, "too much to do: requests are refused");
        }
    }

    /// How many are to be logged now.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.count += 1;
        if seen.logged.is_some_and(|at| now - at < PERIOD) {
            return None;
        }
        seen.logged = Some(now);
        Some(std::mem::take(&mut seen.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_counts_them_all() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.due(start), Some(1));
        for _ in 0..9 {
            assert_eq!(refusals.due(start + PERIOD / 2), None);
        }
        assert_eq!(refusals.due(start + PERIOD), Some(10));
    }
}
