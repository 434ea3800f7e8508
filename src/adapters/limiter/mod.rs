//! Budgets of tries, each used up by trying and coming back with time.
//!
//! The rule is GCRA (ITU-T I.371, Annex A): of a budget one number is kept, the time at which it will be whole
//! again. Each try moves that on by the time in which one try comes back; a try that would move it further ahead
//! than the whole period is refused and changes nothing. So nobody who goes on trying is kept out for longer.

mod local;
mod shared;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

use local::Local;
use shared::Shared;

use super::redis::Kept;

/// What a budget holds, and in which time all of it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// At least 1.
    pub tries: u32,
    pub period: Duration,
}

impl Quota {
    /// The time in which one try comes back, in microseconds.
    fn interval(self) -> i64 {
        let period = i64::try_from(self.period.as_micros()).unwrap_or(i64::MAX);
        (period / i64::from(self.tries.max(1))).max(1)
    }

    /// The time in which all come back, in microseconds.
    fn window(self) -> i64 {
        self.interval().saturating_mul(self.tries.into())
    }
}

/// The name of a budget: a hash, so that it tells nothing and has one length.
pub type Key = [u8; 16];

/// One try at the cost of one budget.
#[derive(Debug, Clone, Copy)]
pub struct Charge {
    pub key: Key,
    pub quota: Quota,
}

/// How a budget stands after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Left {
        tries: u32,
        /// When there is one more.
        next_in: Duration,
    },
    /// Nothing was left.
    Refused {
        /// When a try comes back.
        wait: Duration,
    },
}

impl Standing {
    /// `spent` is how far ahead of now the budget is whole again, in microseconds; of a refused try it is less
    /// than zero, and says how long to wait.
    fn of(quota: Quota, spent: i64) -> Self {
        if spent < 0 {
            return Self::Refused { wait: Duration::from_micros(spent.unsigned_abs()) };
        }
        let (interval, window) = (quota.interval(), quota.window());
        let left = (window - spent).max(0) / interval;
        let next = spent - (window - (left + 1) * interval);
        Self::Left {
            tries: u32::try_from(left).unwrap_or(u32::MAX),
            next_in: Duration::from_micros(next.unsigned_abs()),
        }
    }
}

/// Takes tries from budgets: those of all processes where there is a Redis, and always those of this one.
///
/// What this process has seen is a part of what all have seen, so where it refuses, Redis would. So a flood costs
/// Redis nothing; and when Redis is away, hangs or has lost what it knew, nothing is open that this process knows to
/// be used up.
pub struct Limiter {
    local: Local,
    shared: Option<Shared>,
}

impl Limiter {
    /// Without a Redis one of this process alone.
    #[must_use]
    pub fn new(redis: Option<Kept>) -> Self {
        Self { local: Local::default(), shared: redis.map(Shared::new) }
    }

    /// Tries at the cost of these budgets, one after the other up to the first that refuses: what comes behind
    /// it is not charged. Returns how each of them stands. No budget may be there twice.
    pub async fn take(&self, charges: &[Charge], now: DateTime<Utc>) -> Vec<Standing> {
        let now = now.timestamp_micros();
        let local = self.local.take(charges, now);
        let is_refused = local.last().is_some_and(|spent| *spent < 0);
        let spent = match &self.shared {
            Some(shared) if !is_refused => match shared.take(charges, now).await {
                Ok(shared) => shared
                    .into_iter()
                    .zip(local)
                    .map(|(of_all, own)| stricter(of_all, own))
                    .collect(),
                // The kept connection has told of it.
                Err(_) => local,
            },
            _ => local,
        };
        charges.iter().zip(spent).map(|(charge, spent)| Standing::of(charge.quota, spent)).collect()
    }
}

/// Of two numbers as [`Standing::of`] takes them, of which the second is no refusal.
fn stricter(of_all: i64, own: i64) -> i64 {
    if of_all < 0 { of_all } else { of_all.max(own) }
}

/// In seconds: waiting any shorter would be for nothing.
#[must_use]
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// How a named budget stood at a request's last try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub name: &'static str,
    pub quota: Quota,
    pub standing: Standing,
}

/// What a request's caller is to be told of budgets. Clones share it; the default tells nobody.
#[derive(Clone, Default)]
pub struct Tally(Option<Arc<Mutex<Vec<Told>>>>);

impl Tally {
    /// One that somebody reads.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Replaces what was told of the budget before.
    pub fn note(&self, told: Told) {
        if let Some(all) = &self.0 {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|other| other.name != told.name);
            all.push(told);
        }
    }

    /// All that is to be told.
    #[must_use]
    pub fn read(&self) -> Vec<Told> {
        let all = self.0.as_ref().map(|all| all.lock().unwrap_or_else(PoisonError::into_inner));
        all.map(|all| all.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").finish_non_exhaustive()
    }
}
