//! `tallies`: how often something happened in an hour, a day, a week or a month.

use chrono::{DateTime, Datelike, Days, Months, TimeDelta, Timelike, Utc};
use diesel::{pg::Pg, prelude::*, upsert::excluded};
use diesel_async::RunQueryDsl;

use super::{Conn, schema::tallies, text_enum};

text_enum! {
    /// What is counted, of users.
    #[derive(PartialOrd, Ord)]
    Metric {
        /// Addresses that were registered, and had no account.
        Registrations = "registrations",
        /// Users who signed in, or whose session was refreshed; each once in a period.
        ActiveUsers = "active_users",
        /// Sessions that were opened.
        SignIns = "sign_ins",
        /// Sign-ins that were refused.
        FailedSignIns = "failed_sign_ins",
    }
}

text_enum! {
    /// How long is counted. All begin in UTC, weeks on Mondays.
    #[derive(PartialOrd, Ord)]
    Period {
        Hour = "hour",
        Day = "day",
        Week = "week",
        Month = "month",
    }
}

impl Period {
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// When the one begins that `at` is in.
    #[must_use]
    pub fn start(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let date = at.date_naive();
        let days_in = match self {
            Self::Hour | Self::Day => 0,
            Self::Week => date.weekday().num_days_from_monday(),
            Self::Month => date.day0(),
        };
        let hour = if self == Self::Hour { at.hour() } else { 0 };
        let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
        let first = midnight.checked_sub_days(Days::new(days_in.into())).unwrap_or(midnight);
        first + TimeDelta::hours(hour.into())
    }

    /// When the one begins that is `count` after the one that begins then; `None` where there is no such time.
    #[must_use]
    pub fn after(self, start: DateTime<Utc>, count: u32) -> Option<DateTime<Utc>> {
        match self {
            Self::Hour => start.checked_add_signed(TimeDelta::hours(count.into())),
            Self::Day => start.checked_add_days(Days::new(count.into())),
            Self::Week => start.checked_add_days(Days::new(u64::from(count) * 7)),
            Self::Month => start.checked_add_months(Months::new(count)),
        }
    }

    /// The same before it.
    #[must_use]
    pub fn before(self, start: DateTime<Utc>, count: u32) -> Option<DateTime<Utc>> {
        match self {
            Self::Hour => start.checked_sub_signed(TimeDelta::hours(count.into())),
            Self::Day => start.checked_sub_days(Days::new(count.into())),
            Self::Week => start.checked_sub_days(Days::new(u64::from(count) * 7)),
            Self::Month => start.checked_sub_months(Months::new(count)),
        }
    }
}

/// How often something happened in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = tallies, check_for_backend(Pg))]
pub struct Tally {
    pub period: Period,
    pub starts_at: DateTime<Utc>,
    pub metric: Metric,
    pub count: i64,
}

/// Adds to what was counted. `counts` are in the order of the primary key, so that two who add at once don't wait for
/// each other.
///
/// # Errors
/// When the statement fails.
pub async fn add(conn: &mut Conn, counts: &[Tally], now: DateTime<Utc>) -> QueryResult<()> {
    let times = (tallies::created_at.eq(now), tallies::updated_at.eq(now));
    let rows: Vec<_> = counts.iter().map(|tally| (*tally, times)).collect();
    diesel::insert_into(tallies::table)
        .values(rows)
        .on_conflict((tallies::period, tallies::starts_at, tallies::metric))
        .do_update()
        .set((
            tallies::count.eq(tallies::count + excluded(tallies::count)),
            tallies::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// What was counted in those periods that begin at `from` or later, and before `to`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    period: Period,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> QueryResult<Vec<Tally>> {
    listed(period, from, to).select(Tally::as_select()).load(conn).await
}

/// The query of [`list`].
#[must_use]
pub fn listed(
    period: Period,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> tallies::BoxedQuery<'static, Pg> {
    tallies::table
        .filter(tallies::period.eq(period))
        .filter(tallies::starts_at.ge(from))
        .filter(tallies::starts_at.lt(to))
        .into_boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_in_utc_and_weeks_on_mondays() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        for (at, starts) in [
            // A Sunday in a leap year.
            (
                "2024-03-03T23:59:59.999Z",
                [
                    "2024-03-03T23:00:00Z",
                    "2024-03-03T00:00:00Z",
                    "2024-02-26T00:00:00Z",
                    "2024-03-01T00:00:00Z",
                ],
            ),
            // A Monday.
            ("2024-01-01T00:00:00Z", ["2024-01-01T00:00:00Z"; 4]),
            // The first days of a year may be in a week of the last one.
            (
                "2027-01-02T12:30:00Z",
                [
                    "2027-01-02T12:00:00Z",
                    "2027-01-02T00:00:00Z",
                    "2026-12-28T00:00:00Z",
                    "2027-01-01T00:00:00Z",
                ],
            ),
        ] {
            let found = Period::ALL.map(|period| period.start(time(at)));
            assert_eq!(found, starts.map(time), "{at}");
            for (period, start) in Period::ALL.into_iter().zip(found) {
                let next = period.after(start, 1).expect("a time");
                assert!(start <= time(at) && time(at) < next, "{period:?} of {at}");
                assert_eq!(period.start(next), next);
                assert_eq!(period.start(next - TimeDelta::nanoseconds(1)), start);
                for count in [1, 40] {
                    let before = period.before(start, count).expect("a time");
                    assert_eq!(period.after(before, count), Some(start), "{period:?} of {at}");
                }
            }
        }
    }
}
