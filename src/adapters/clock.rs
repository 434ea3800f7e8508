//! The only source of the current time, so that tests can move it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// How far this clock is ahead of the system's, in microseconds.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The system's time, in microseconds: what a PostgreSQL `timestamptz` holds exactly.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    pub fn now(&self) -> DateTime<Utc> {
        let ahead = TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed));
        (Utc::now() + ahead).trunc_subsecs(6)
    }

    /// A moment to measure from, which no correction of the system's time moves.
    #[must_use]
    pub fn moment(&self) -> Instant {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Instant::now() + Duration::from_micros(ahead.try_into().unwrap_or(0))
    }

    /// Moves this clock and its clones. For tests.
    pub fn advance(&self, by: TimeDelta) {
        let by = by.num_microseconds().unwrap_or(i64::MAX);
        self.ahead.fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together_and_have_microseconds() {
        let clock = Clock::default();
        let clone = clock.clone();
        let (before, moment) = (clone.now(), clone.moment());
        clock.advance(TimeDelta::hours(2));
        assert!(clone.now() - before >= TimeDelta::hours(2));
        assert!(clone.moment() - moment >= Duration::from_hours(2));
        assert_eq!(clock.now().timestamp_subsec_nanos() % 1000, 0);
    }
}
