//! What recurs: a cron expression in a time zone, and what is done at each tick.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;

use super::{Job, Order};
use crate::services::Result;

/// What becomes of ticks that nobody saw to, because no process ran or the database was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// They are left out, if they are older than a minute.
    Skip,
    /// One job for all of them.
    #[default]
    Once,
    /// One job for each.
    All,
}

/// What recurs.
#[derive(Clone)]
pub struct Schedule {
    /// Its name: never changed, for a row has it.
    pub name: &'static str,
    pub cron: Cron,
    pub zone: Tz,
    pub missed: Missed,
    order: Arc<dyn Fn() -> Result<Order> + Send + Sync>,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {}", self.name, self.cron.as_str(), self.zone)
    }
}

impl Schedule {
    /// A job at each time of a cron expression of five parts, or of six with seconds, in UTC.
    ///
    /// # Panics
    /// When the expression can't be read: it is part of the program.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test reads all of them")]
    pub fn new<J: Job + Clone>(name: &'static str, cron: &str, job: J) -> Self {
        let cron = cron.parse().expect("a cron expression");
        let order = Arc::new(move || Order::of(&job));
        Self { name, cron, zone: Tz::UTC, missed: Missed::default(), order }
    }

    /// The times are those of a zone's clocks. When they are put forward, times that don't exist are
    /// those right after; when they are put back, those that come twice count once.
    #[must_use]
    pub fn in_zone(self, zone: Tz) -> Self {
        Self { zone, ..self }
    }

    #[must_use]
    pub fn missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }

    /// The job of a tick.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn order(&self) -> Result<Order> {
        (self.order)()
    }

    /// The first tick after a time, if one ever comes.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc))
    }

    /// The tick to see to now, if the one before was at `last`.
    #[must_use]
    pub fn due(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        /// More than that late, a tick is missed.
        const LATE: TimeDelta = TimeDelta::minutes(1);
        let first = self.next(last).filter(|tick| *tick <= now)?;
        if self.missed == Missed::All {
            return Some(first);
        }
        let local = now.with_timezone(&self.zone);
        let latest = self.cron.find_previous_occurrence(&local, true).ok();
        let latest = latest.map_or(first, |tick| tick.with_timezone(&Utc)).max(first);
        let is_missed = self.missed == Missed::Skip && now - latest > LATE;
        (!is_missed).then_some(latest)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Nothing;

    impl Job for Nothing {
        const KIND: &'static str = "nothing";
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn ticks_are_those_of_the_zones_clocks() {
        let daily = Schedule::new("daily", "30 2 * * *", Nothing).in_zone(Tz::Europe__Berlin);
        // In winter an hour ahead of UTC, in summer two.
        assert_eq!(daily.next(at("2026-01-10T12:00:00Z")), Some(at("2026-01-11T01:30:00Z")));
        assert_eq!(daily.next(at("2026-07-10T12:00:00Z")), Some(at("2026-07-11T00:30:00Z")));
        // 2026-03-29 has no 02:30 there, and 2026-10-25 has two.
        let forward = daily.next(at("2026-03-28T12:00:00Z")).expect("a tick");
        assert!(forward > at("2026-03-29T00:59:59Z") && forward < at("2026-03-30T00:30:00Z"));
        let back = daily.next(at("2026-10-24T12:00:00Z")).expect("a tick");
        let next = daily.next(back).expect("a tick");
        assert!(next >= at("2026-10-26T00:00:00Z"), "{back} {next}");
        let seconds = Schedule::new("seconds", "*/10 * * * * *", Nothing);
        assert_eq!(seconds.next(at("2026-01-10T12:00:01Z")), Some(at("2026-01-10T12:00:10Z")));
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_the_schedule_says() {
        let hourly = |missed| Schedule::new("hourly", "0 * * * *", Nothing).missed(missed);
        let (last, now) = (at("2026-01-10T08:00:00Z"), at("2026-01-10T12:30:00Z"));
        assert_eq!(hourly(Missed::All).due(last, now), Some(at("2026-01-10T09:00:00Z")));
        assert_eq!(hourly(Missed::Once).due(last, now), Some(at("2026-01-10T12:00:00Z")));
        assert_eq!(hourly(Missed::Skip).due(last, now), None);
        let in_time = Utc.with_ymd_and_hms(2026, 1, 10, 12, 0, 30).single().expect("a time");
        for missed in [Missed::All, Missed::Once, Missed::Skip] {
            let tick = at("2026-01-10T12:00:00Z");
            assert_eq!(hourly(missed).due(at("2026-01-10T11:00:00Z"), in_time), Some(tick));
            assert_eq!(hourly(missed).due(tick, in_time), None, "it has been seen to");
        }
    }
}
