//! What is counted, for staff to see how things go over time.
//!
//! Each process counts in memory and adds that to `tallies` each second, so counting costs nobody a statement, and no
//! two wait for the same row. What has been added is there whatever becomes of the process; a `kill -9` loses
//! what happened within the last second. While the database is away counts stay here.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use super::{Core, Result, cache::Change};
use crate::{
    db::{
        Origin, Tx,
        tallies::{self, Metric, Period, Tally},
        user_activity,
    },
    telemetry::Chain,
};

/// How often counts are added to what is stored.
const EVERY: Duration = Duration::from_secs(1);

/// Of what the cache has of them.
pub const TAG: &str = "tallies";

type Counts = BTreeMap<(Period, DateTime<Utc>, Metric), i64>;

/// What this process has counted and not yet stored.
#[derive(Default)]
pub struct Tallies(Mutex<Counts>);

impl Tallies {
    /// Something has happened, in each period that `at` is in.
    pub fn count(&self, metric: Metric, at: DateTime<Utc>) {
        self.count_since(metric, at, None);
    }

    /// The same, but for those periods in which it happened before, at `previous`.
    fn count_since(&self, metric: Metric, at: DateTime<Utc>, previous: Option<DateTime<Utc>>) {
        let mut counts = self.lock();
        for period in Period::ALL {
            let start = period.start(at);
            if previous.is_none_or(|previous| previous < start) {
                *counts.entry((period, start, metric)).or_default() += 1;
            }
        }
    }

    /// Stores what was counted until now, if there is anything.
    ///
    /// # Errors
    /// When the database fails; then it is stored the next time.
    pub async fn store(&self, core: &Core) -> Result<()> {
        let counts = std::mem::take(&mut *self.lock());
        let tally = |(&(period, starts_at, metric), &count): (&_, &_)| Tally {
            period,
            starts_at,
            metric,
            count,
        };
        let rows: Vec<Tally> = counts.iter().map(tally).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let stored = async {
            let mut tx = core.db.begin(&Origin::system("tallies")).await?;
            let now = tx.now;
            tallies::add(&mut tx, &rows, now).await?;
            core.cache.changes(&mut tx, &[Change::Tag(TAG.to_owned())]).await?;
            Ok(tx.commit().await?)
        };
        let stored = stored.await;
        if stored.is_err() {
            let mut present = self.lock();
            for (key, count) in counts {
                *present.entry(key).or_default() += count;
            }
        }
        stored
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores what this process counts, until `stop`.
pub async fn run(core: Core, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = core.tallies.store(&core).await {
            tracing::debug!("counts are waiting: {}", Chain(&error));
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Counts something that happens by this transaction, once it is committed.
pub fn count(core: &Core, tx: &mut Tx, metric: Metric) {
    let (tallies, now) = (core.tallies.clone(), tx.now);
    tx.after_commit(move || tallies.count(metric, now));
}

/// Counts the user as active, once in each period: one statement.
///
/// # Errors
/// When the database fails.
pub async fn count_active(core: &Core, tx: &mut Tx, user_id: Uuid) -> Result<()> {
    let now = tx.now;
    let noted = user_activity::note(tx, user_id, Period::Hour.start(now), now).await?;
    if let Some(previous) = noted {
        let tallies = core.tallies.clone();
        tx.after_commit(move || tallies.count_since(Metric::ActiveUsers, now, previous));
    }
    Ok(())
}
