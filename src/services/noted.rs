//! What was told of changes, and when: so it is known whether something that was read counts any more.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::db::Pulse;

/// How many are remembered; when there are more, anything may have changed for a while.
const ROOM: usize = 100_000;

/// When a change was noted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Noted {
    /// By the clock, as what is kept in this process has it.
    pub moment: Instant,
    /// As time really passes, for so it does in Redis and in the database whatever a test does to the clock.
    pub at: Instant,
    /// By the clock of the database, or a little later; `None` where that wasn't known.
    pub database_time: Option<DateTime<Utc>>,
}

/// What has changed lately.
pub struct Notes<K> {
    /// How long it is remembered.
    memory: Duration,
    noted: HashMap<K, Noted>,
    /// When there were too many to remember each, it may have been any.
    any: Option<Noted>,
}

impl<K: Eq + Hash> Notes<K> {
    /// None yet, to be remembered for so long.
    #[must_use]
    pub fn new(memory: Duration) -> Self {
        Self { memory, noted: HashMap::new(), any: None }
    }

    /// This has changed, by now.
    pub fn note(&mut self, key: K, moment: Instant, database_time: Option<DateTime<Utc>>) {
        let noted = Noted { moment, at: Instant::now(), database_time };
        if self.noted.len() >= ROOM {
            self.noted.retain(|_, noted| noted.at.elapsed() < self.memory);
            if self.noted.len() >= ROOM / 2 {
                (self.noted, self.any) = (HashMap::new(), Some(noted));
            }
        }
        self.noted.insert(key, noted);
    }

    /// When one of these changed last, as far as is remembered.
    pub fn last<'a, Q>(&self, keys: impl IntoIterator<Item = &'a Q>) -> Option<Noted>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized + 'a,
    {
        let keys = keys.into_iter().filter_map(|key| self.noted.get(key).copied());
        keys.chain(self.any).max()
    }
}

/// When something was read from the database, so that every process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAt {
    /// By the clock of the database; what had been committed then is in it.
    pub read_at: DateTime<Utc>,
    /// When the database server was started, which tells it from others.
    pub server: DateTime<Utc>,
}

impl ReadAt {
    /// Whether a change since then, which is less than `life` ago, would have been told on a bus with this pulse by now.
    #[must_use]
    pub fn is_covered(&self, pulse: &Pulse, now: Instant, life: Duration) -> bool {
        let passed = TimeDelta::from_std(now.saturating_duration_since(pulse.as_of));
        let database_now = pulse.database_time + passed.unwrap_or(TimeDelta::MAX);
        let age = database_now - self.read_at;
        self.server == pulse.server
            && self.read_at >= pulse.since
            // The clock may have been put back.
            && age >= TimeDelta::zero()
            && age.to_std().is_ok_and(|age| age < life)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_read_is_covered_by_what_the_bus_has_heard() {
        const LIFE: Duration = Duration::from_mins(1);
        let (moment, second) = (Instant::now(), TimeDelta::seconds(1));
        let time = DateTime::UNIX_EPOCH + second * 1_000_000;
        let pulse = Pulse {
            as_of: moment,
            heard_at: moment,
            database_time: time,
            since: time - second * 50,
            server: time - second * 3600,
        };
        let read = |read_at| ReadAt { read_at, server: pulse.server };
        let later = |seconds| moment + Duration::from_secs(seconds);
        assert!(read(time).is_covered(&pulse, moment, LIFE));
        assert!(read(time - second * 10).is_covered(&pulse, later(1), LIFE));
        assert!(read(pulse.since).is_covered(&pulse, moment, LIFE));
        assert!(!read(pulse.since - second).is_covered(&pulse, moment, LIFE), "before it heard");
        let elsewhere = ReadAt { server: time, ..read(time) };
        assert!(!elsewhere.is_covered(&pulse, moment, LIFE), "another server");
        assert!(!read(time + second).is_covered(&pulse, moment, LIFE), "the clock was put back");
        assert!(read(time + second).is_covered(&pulse, later(1), LIFE), "it was read since");
        let long = Pulse { since: time - second * 3600, ..pulse };
        assert!(read(time - second * 59).is_covered(&long, moment, LIFE));
        assert!(!read(time - second * 59).is_covered(&long, later(1), LIFE), "too old");
        assert!(!read(time - second * 300).is_covered(&long, moment, LIFE), "too old");
    }

    #[test]
    fn changes_are_remembered_and_none_is_lost_when_there_are_too_many() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let (a, b, c) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut notes = Notes::new(Duration::from_mins(2));
        assert!(notes.last([&a, &b]).is_none());
        notes.note(a, at(1), None);
        notes.note(b, at(2), None);
        let last =
            |notes: &Notes<Uuid>, one, other| notes.last([&one, &other]).map(|noted| noted.moment);
        assert_eq!(last(&notes, a, c), Some(at(1)));
        assert_eq!(last(&notes, c, b), Some(at(2)));
        assert_eq!(last(&notes, a, b), Some(at(2)), "the later one counts");
        assert_eq!(last(&notes, b, a), Some(at(2)));
        assert_eq!(last(&notes, c, c), None);
        for number in 0..ROOM as u128 {
            notes.note(Uuid::from_u128(1000 + number), at(3), None);
        }
        assert!(notes.noted.len() < ROOM);
        assert_eq!(last(&notes, a, b), Some(at(3)));
        assert_eq!(last(&notes, c, c), Some(at(3)), "it may have been any");
    }
}
