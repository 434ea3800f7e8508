//! What recurs, as staff see it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{Tag, jobs::an_id};
use crate::{
    api::{
        accepted::Accepted,
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse},
        error::ApiError,
        idempotency::IdempotencyKey,
    },
    services::{
        Code, Core,
        jobs::{
            Missed,
            control::{self, ScheduleState},
        },
        permissions::{JobsRead, JobsWrite},
    },
};

/// What becomes of ticks that nobody saw to, because no process ran or the database was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MissedTicks {
    /// They are left out, if they are older than a minute.
    Skip,
    /// One job for all of them.
    Once,
    /// One job for each.
    All,
}

/// What recurs.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedSchedule {
    /// Its name.
    pub name: String,
    /// A cron expression of five parts, or of six with seconds.
    pub cron: String,
    /// By whose clocks.
    pub time_zone: String,
    /// What becomes of ticks that nobody saw to.
    pub missed: MissedTicks,
    /// Whether its ticks are seen to.
    pub enabled: bool,
    /// The last tick that was seen to, or when it became known; absent until a worker has run.
    #[oai(skip_serializing_if_is_none)]
    pub last_tick_at: Option<DateTime<Utc>>,
    /// The last job; absent when there was none, or the one before had not ended.
    #[oai(skip_serializing_if_is_none)]
    pub last_job_id: Option<Uuid>,
    /// The next tick; absent while it is off.
    #[oai(skip_serializing_if_is_none)]
    pub next_tick_at: Option<DateTime<Utc>>,
}

/// All that recurs.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedSchedules {
    /// In no particular order.
    pub schedules: Vec<ManagedSchedule>,
}

/// Whether a schedule is on.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ChangeScheduleRequest {
    /// What is missed while it is off is not made up for.
    pub enabled: bool,
}

/// Operations on schedules.
pub struct SchedulesApi;

#[OpenApi(prefix_path = "/schedules", tag = "Tag::Jobs")]
impl SchedulesApi {
    /// List schedules
    ///
    /// All that recurs, and when next.
    #[oai(path = "/", method = "get", operation_id = "list_schedules")]
    async fn list(
        &self,
        _auth: StaffAuth<JobsRead>,
        core: Data<&Arc<Core>>,
    ) -> Answer<ManagedSchedules> {
        let all = control::all_schedules(core.0).await?;
        let schedules = all.into_iter().map(Into::into).collect();
        Ok(ApiResponse::success(ManagedSchedules { schedules }))
    }

    /// Turn a schedule on or off
    ///
    /// Jobs that wait or run stay as they are.
    #[oai(path = "/:name", method = "patch", operation_id = "change_schedule")]
    async fn change(
        &self,
        auth: StaffAuth<JobsWrite>,
        core: Data<&Arc<Core>>,
        /// The schedule's name.
        #[oai(example = "a_name")]
        name: Path<String>,
        body: Body<ChangeScheduleRequest>,
    ) -> Answer<ManagedSchedule> {
        let (origin, enabled) = (&auth.origin, body.0.enabled);
        let changed = control::set_schedule_enabled(core.0, origin, &name.0, enabled).await?;
        Ok(ApiResponse::success(changed.into()))
    }

    /// Run a schedule now
    ///
    /// Besides its ticks. 409 while a job of it waits or runs that must be the only one.
    #[oai(path = "/:name/run", method = "post", operation_id = "run_schedule")]
    async fn run(
        &self,
        auth: StaffAuth<JobsWrite>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The schedule's name.
        #[oai(example = "a_name")]
        name: Path<String>,
    ) -> Result<Accepted, ApiError> {
        let stored = control::run_schedule(core.0, &auth.origin, &name.0).await?;
        let job = stored.ok_or(Code::JobInOtherState)?;
        let url = format!("/api/v1/backoffice/jobs/{job}");
        Ok(Accepted::new(job, url, Duration::from_secs(1)))
    }
}

impl From<Missed> for MissedTicks {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Skip => Self::Skip,
            Missed::Once => Self::Once,
            Missed::All => Self::All,
        }
    }
}

impl From<ScheduleState<'_>> for ManagedSchedule {
    fn from(state: ScheduleState<'_>) -> Self {
        let ScheduleState { schedule, row, next } = state;
        Self {
            name: schedule.name.to_owned(),
            cron: schedule.cron.as_str().to_owned(),
            time_zone: schedule.zone.name().to_owned(),
            missed: schedule.missed.into(),
            enabled: row.as_ref().is_none_or(|row| row.is_enabled),
            last_tick_at: row.as_ref().map(|row| row.last_tick),
            last_job_id: row.and_then(|row| row.last_job_id),
            next_tick_at: next,
        }
    }
}

fn a_name() -> String {
    ManagedSchedule::example().name
}

impl Example for ManagedSchedule {
    fn example() -> Self {
        Self {
            name: "job_history".to_owned(),
            cron: "37 * * * *".to_owned(),
            time_zone: "UTC".to_owned(),
            missed: MissedTicks::Once,
            enabled: true,
            last_tick_at: Some(DateTime::UNIX_EPOCH),
            last_job_id: Some(an_id()),
            next_tick_at: Some(DateTime::UNIX_EPOCH),
        }
    }
}

impl Example for ManagedSchedules {
    fn example() -> Self {
        Self { schedules: vec![ManagedSchedule::example()] }
    }
}

impl Example for ChangeScheduleRequest {
    fn example() -> Self {
        Self { enabled: false }
    }
}
