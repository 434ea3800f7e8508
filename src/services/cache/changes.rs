//! What of what the cache may hold has changed.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    super::noted::{Noted, Notes},
    Change, database_time,
};
use crate::{adapters::clock::Clock, db::Bus};

/// How many halves are kept: while the bus is deaf none of them is met.
const MOST_HALVES: usize = 100_000;

/// The changes that this process knows of.
///
/// It knows its own as soon as they are committed, and hears them on the bus as well. That counts for the same change, so
/// that what is read in between isn't taken for older than it; and for another where it was committed, but whoever did it
/// went away before it was noted.
pub struct Changes {
    process: u64,
    next: AtomicU64,
    clock: Clock,
    bus: Bus,
    known: Mutex<Known>,
}

struct Known {
    notes: Notes<String>,
    /// Own changes of which one of both is still to come.
    halves: HashSet<String>,
}

impl Changes {
    /// None yet. Values live so long.
    pub fn new(process: u64, life: Duration, clock: Clock, bus: Bus) -> Self {
        let notes = Notes::new(life + Duration::from_mins(1));
        let known = Mutex::new(Known { notes, halves: HashSet::new() });
        Self { process, next: AtomicU64::new(0), clock, bus, known }
    }

    /// As a change of this process is told to all.
    pub fn told(&self, change: &Change) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:x}.{number:x} {}", self.process, change.name())
    }

    /// What was told by this process is committed.
    pub fn committed(&self, told: &str) {
        self.second_half(told);
        self.note(told);
    }

    /// What was heard; `None`: the bus begins to hear.
    pub fn heard(&self, told: Option<&str>) {
        match told {
            Some(told) if !self.is_own(told) || !self.second_half(told) => self.note(told),
            Some(_) => {}
            None => self.lock().halves.clear(),
        }
    }

    /// When one of these changed last.
    pub fn last<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<Noted> {
        self.lock().notes.last(names)
    }

    fn is_own(&self, told: &str) -> bool {
        told.split_once('.').is_some_and(|(process, _)| process == format!("{:x}", self.process))
    }

    /// Whether the other half was there.
    fn second_half(&self, told: &str) -> bool {
        let halves = &mut self.lock().halves;
        if halves.len() > MOST_HALVES {
            // Of one that is missing a change is noted twice.
            halves.clear();
        }
        halves.remove(told) || !halves.insert(told.to_owned())
    }

    fn note(&self, told: &str) {
        let name = told.split_once(' ').map_or(told, |(_, name)| name).to_owned();
        let moment = self.clock.moment();
        // Not before it was committed.
        let time = self.bus.pulse().map(|pulse| database_time(&pulse, pulse.as_of, moment));
        self.lock().notes.note(name, moment, time);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::adapters::random::Random;

    #[test]
    fn a_change_of_ones_own_is_noted_when_it_is_committed_and_not_when_it_is_heard() {
        let clock = Clock::default();
        let bus = Bus::new(clock.clone(), Random);
        let changes = Changes::new(7, Duration::from_mins(1), clock.clone(), bus);
        let change = Change::Tag("a".to_owned());
        let name = change.name();
        let last = || changes.last([name.as_str()]).map(|noted| noted.moment);
        let told = changes.told(&change);
        assert_eq!(last(), None);
        changes.committed(&told);
        let noted = last();
        clock.advance(TimeDelta::seconds(1));
        changes.heard(Some(&told));
        assert!(noted.is_some() && last() == noted);
        // Of another process, and of who went away before it was noted.
        for told in ["8.0 tag a".to_owned(), changes.told(&change)] {
            clock.advance(TimeDelta::seconds(1));
            let before = last();
            changes.heard(Some(&told));
            assert!(last() > before, "{told}");
        }
    }
}
