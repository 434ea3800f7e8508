//! How things go over time, from what was counted ([`tallies`](super::tallies)).

use std::{collections::BTreeMap, iter};

use chrono::{DateTime, Utc};

use serde::{Deserialize, Serialize};

use super::{
    Core, FieldError, Result, ServiceError,
    cache::{Key, Loaded},
    tallies::TAG,
};
use crate::db::tallies::{self, Metric, Period};

/// How many periods are shown where nobody says since when.
const USUAL: u32 = 30;
/// How many periods are shown at most.
pub const MOST: usize = 1000;

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub period: Period,
    /// When the first period begins.
    pub from: DateTime<Utc>,
    /// Before when the last one begins.
    pub to: DateTime<Utc>,
}

impl Span {
    /// The periods from the one that `from` is in, [`USUAL`] many unless given, to `to`, which is now unless given.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`](super::Code::ValidationFailed) when there are none, or more than [`MOST`].
    pub fn new(
        period: Period,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let to = to.unwrap_or(now);
        let from = from.map(|from| period.start(from));
        let from = from.or_else(|| period.before(period.start(to), USUAL - 1)).unwrap_or(to);
        let span = Self { period, from, to };
        let fault = match span.starts().take(MOST + 1).count() {
            0 => FieldError::new("to", "order", "must be after from"),
            count if count > MOST => {
                let message = format!("must be within {MOST} intervals before to");
                FieldError::new("from", "too_many", message)
            }
            _ => return Ok(span),
        };
        Err(ServiceError::invalid(vec![fault]))
    }

    /// When each period begins.
    fn starts(&self) -> impl Iterator<Item = DateTime<Utc>> {
        let (period, to) = (self.period, self.to);
        iter::successors(Some(self.from), move |start| period.after(*start, 1))
            .take_while(move |start| *start < to)
    }
}

/// A period, and how often what happened in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub starts_at: DateTime<Utc>,
    pub registrations: i64,
    pub active_users: i64,
    pub sign_ins: i64,
    pub failed_sign_ins: i64,
}

/// Each period of the span, in order, as it was when something was counted last: from the cache, or by one statement.
///
/// # Errors
/// When the database fails.
pub async fn read(core: &Core, span: Span) -> Result<Vec<Point>> {
    let last = span.starts().last().unwrap_or(span.from);
    let (from, last) = (span.from.timestamp(), last.timestamp());
    let key = Key::new("dashboard", format_args!("{:?}:{from}:{last}", span.period));
    let points = core.cache.get_or_load(&key, || async {
        let value = Some(load(core, span).await?);
        Ok(Loaded { value, tags: vec![TAG.to_owned()] })
    });
    Ok(points.await?.unwrap_or_default())
}

/// It reads a row at most for each period and metric.
async fn load(core: &Core, span: Span) -> Result<Vec<Point>> {
    let mut conn = core.db.conn().await?;
    let rows = tallies::list(&mut conn, span.period, span.from, span.to).await?;
    drop(conn);
    let rows = rows.iter().map(|row| ((row.starts_at, row.metric), row.count));
    let counts: BTreeMap<_, _> = rows.collect();
    let point = |starts_at| {
        let count = |metric| counts.get(&(starts_at, metric)).copied().unwrap_or_default();
        Point {
            starts_at,
            registrations: count(Metric::Registrations),
            active_users: count(Metric::ActiveUsers),
            sign_ins: count(Metric::SignIns),
            failed_sign_ins: count(Metric::FailedSignIns),
        }
    };
    Ok(span.starts().map(point).collect())
}
