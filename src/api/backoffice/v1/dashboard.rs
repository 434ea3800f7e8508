//! How things go over time.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, param::Query, types::Example};

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        envelope::{Answer, ApiResponse},
    },
    db::tallies::Period,
    services::{
        Core,
        dashboard::{self, Point, Span},
        permissions::DashboardRead,
    },
};

/// How long a point of the dashboard is. All begin in UTC, weeks on Mondays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum DashboardInterval {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

impl From<DashboardInterval> for Period {
    fn from(interval: DashboardInterval) -> Self {
        match interval {
            DashboardInterval::Hour => Self::Hour,
            DashboardInterval::Day => Self::Day,
            DashboardInterval::Week => Self::Week,
            DashboardInterval::Month => Self::Month,
        }
    }
}

/// What happened in an interval.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DashboardPoint {
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// Accounts that were registered.
    pub registrations: i64,
    /// Users who signed in or whose session was refreshed, each once.
    pub active_users: i64,
    /// Sessions that users opened.
    pub sign_ins: i64,
    /// Sign-ins that were refused, for accounts that exist and others: because of the address, the password, the
    /// code or a suspension. Those beyond the limits on tries are not among them.
    pub failed_sign_ins: i64,
}

/// The sums of all intervals. Users may be active in several, so there is none of those.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DashboardTotals {
    /// Accounts that were registered.
    pub registrations: i64,
    /// Sessions that users opened.
    pub sign_ins: i64,
    /// Sign-ins that were refused.
    pub failed_sign_ins: i64,
}

/// How things go over time.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Dashboard {
    /// How long a point is.
    pub interval: DashboardInterval,
    /// When the first one begins.
    pub from: DateTime<Utc>,
    /// Before when the last one begins.
    pub to: DateTime<Utc>,
    /// Each interval, the oldest first. The newest may not be over.
    pub points: Vec<DashboardPoint>,
    /// Of all of them.
    pub totals: DashboardTotals,
}

/// Operations on the dashboard.
pub struct DashboardApi;

#[OpenApi(prefix_path = "/dashboard", tag = "Tag::Dashboard")]
impl DashboardApi {
    /// Read the dashboard
    ///
    /// Registrations, active users and sign-ins over time, as of a few seconds ago: up to 1,000 intervals.
    #[oai(path = "/", method = "get", operation_id = "get_dashboard")]
    async fn get(
        &self,
        _auth: StaffAuth<DashboardRead>,
        core: Data<&Arc<Core>>,
        /// The first interval is the one of this time; 30 are shown unless given.
        #[oai(example = "a_time")]
        from: Query<Option<DateTime<Utc>>>,
        /// All intervals begin before this time; now unless given.
        #[oai(example = "a_later_time")]
        to: Query<Option<DateTime<Utc>>>,
        /// How long an interval is.
        #[oai(default, example = "by_day")]
        interval: Query<DashboardInterval>,
    ) -> Answer<Dashboard> {
        let span = Span::new(interval.0.into(), from.0, to.0, core.clock.now())?;
        let points = dashboard::read(core.0, span).await?;
        Ok(ApiResponse::success(Dashboard::new(interval.0, span, points)))
    }
}

impl Dashboard {
    fn new(interval: DashboardInterval, span: Span, points: Vec<Point>) -> Self {
        let sum = |of: fn(&Point) -> i64| points.iter().map(of).sum();
        let totals = DashboardTotals {
            registrations: sum(|point| point.registrations),
            sign_ins: sum(|point| point.sign_ins),
            failed_sign_ins: sum(|point| point.failed_sign_ins),
        };
        let points = points.into_iter().map(Into::into).collect();
        Self { interval, from: span.from, to: span.to, points, totals }
    }
}

impl From<Point> for DashboardPoint {
    fn from(point: Point) -> Self {
        Self {
            starts_at: point.starts_at,
            registrations: point.registrations,
            active_users: point.active_users,
            sign_ins: point.sign_ins,
            failed_sign_ins: point.failed_sign_ins,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_time() -> Option<DateTime<Utc>> {
    Some(Dashboard::example().from)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_later_time() -> Option<DateTime<Utc>> {
    Some(Dashboard::example().to)
}

fn by_day() -> DashboardInterval {
    DashboardInterval::Day
}

impl Example for DashboardPoint {
    fn example() -> Self {
        Self {
            starts_at: DateTime::UNIX_EPOCH,
            registrations: 12,
            active_users: 340,
            sign_ins: 410,
            failed_sign_ins: 25,
        }
    }
}

impl Example for DashboardTotals {
    fn example() -> Self {
        Self { registrations: 12, sign_ins: 410, failed_sign_ins: 25 }
    }
}

impl Example for Dashboard {
    fn example() -> Self {
        Self {
            interval: DashboardInterval::Day,
            from: DateTime::UNIX_EPOCH,
            to: DateTime::UNIX_EPOCH + TimeDelta::days(1),
            points: vec![DashboardPoint::example()],
            totals: DashboardTotals::example(),
        }
    }
}
