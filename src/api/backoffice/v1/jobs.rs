//! Work in the background, as staff see it. Like all operations of the backoffice, these are open to all
//! staff as long as there are no permissions.

mod managed_job;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Example,
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, NoContent, Page},
        error::ApiError,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::SearchText,
    },
    db::jobs::lists::{JobFilter, JobSort},
    services::{
        Core,
        jobs::control,
        permissions::{JobsRead, JobsWrite},
    },
};
pub(super) use managed_job::an_id;
pub use managed_job::{
    FailedTry, JobPriority, JobTryOutcome, ManagedJob, ManagedJobDetails, ManagedJobState,
};

/// Which of the jobs that were given up.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RetryFailedJobsRequest {
    /// Only those of this queue.
    #[oai(validator(max_length = 254))]
    pub queue: Option<String>,
    /// Only those of this kind.
    #[oai(validator(max_length = 254))]
    pub kind: Option<String>,
}

/// How many jobs are tried again.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RetriedJobs {
    /// A thousand at most: then ask again.
    pub retried: u32,
}

/// Operations on jobs.
pub struct JobsApi;

#[OpenApi(prefix_path = "/jobs", tag = "Tag::Jobs")]
impl JobsApi {
    /// List jobs
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_jobs")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<JobsRead>,
        core: Data<&Arc<Core>>,
        /// Which page, from 1; not with a cursor.
        page: Query<Option<PageNumber>>,
        /// How many a page holds.
        #[oai(default)]
        per_page: Query<PageSize>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<JobSort>>,
        /// Only jobs in this state.
        #[oai(example = "failed")]
        state: Query<Option<ManagedJobState>>,
        /// Only jobs of this queue.
        #[oai(example = "default_queue")]
        queue: Query<Option<SearchText>>,
        /// Only jobs of this kind.
        #[oai(example = "a_kind")]
        kind: Query<Option<SearchText>>,
        /// The identifier of the job, of its worker, of who asked for it, or of the request that did.
        #[oai(example = "a_searched_id")]
        q: Query<Option<SearchText>>,
        /// Only jobs made at this time or later.
        #[oai(example = "a_time")]
        created_from: Query<Option<DateTime<Utc>>>,
        /// Only jobs made before this time.
        #[oai(example = "a_time")]
        created_to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Page<ManagedJob>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter = JobFilter {
            state: state.0.map(Into::into),
            queue: queue.0.map(|text| text.0),
            kind: kind.0.map(|text| text.0),
            search: q.0.map(|text| text.0),
            created_from: created_from.0,
            created_to: created_to.0,
        };
        let found = control::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a job
    ///
    /// With what it was told, what came of it, and why tries failed.
    #[oai(path = "/:id", method = "get", operation_id = "get_job")]
    async fn get(
        &self,
        _auth: StaffAuth<JobsRead>,
        core: Data<&Arc<Core>>,
        /// The job's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedJobDetails> {
        Ok(ApiResponse::success(control::get(core.0, id.0).await?.into()))
    }

    /// Retry a job
    ///
    /// It is due at once, with all its tries before it: one that waits, was cancelled or was given up.
    #[oai(path = "/:id/retry", method = "post", operation_id = "retry_job")]
    async fn retry(
        &self,
        auth: StaffAuth<JobsWrite>,
        core: Data<&Arc<Core>>,
        /// The job's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedJob> {
        Ok(ApiResponse::success(control::retry(core.0, &auth.origin, id.0).await?.into()))
    }

    /// Cancel a job
    ///
    /// One that waits ends at once; one that runs is asked to, and stopped ten seconds later.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancel_job")]
    async fn cancel(
        &self,
        auth: StaffAuth<JobsWrite>,
        core: Data<&Arc<Core>>,
        /// The job's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedJob> {
        Ok(ApiResponse::success(control::cancel(core.0, &auth.origin, id.0).await?.into()))
    }

    /// Discard a job
    ///
    /// Deletes it and all that is known of it, unless it runs.
    #[oai(path = "/:id", method = "delete", operation_id = "discard_job")]
    async fn discard(
        &self,
        auth: StaffAuth<JobsWrite>,
        core: Data<&Arc<Core>>,
        /// The job's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        control::discard(core.0, &auth.origin, id.0).await?;
        Ok(NoContent::Done)
    }

    /// Retry failed jobs
    ///
    /// All that were given up, or those of a queue or a kind; the oldest first.
    #[oai(path = "/retry-failed", method = "post", operation_id = "retry_failed_jobs")]
    async fn retry_failed(
        &self,
        auth: StaffAuth<JobsWrite>,
        core: Data<&Arc<Core>>,
        body: Body<RetryFailedJobsRequest>,
    ) -> Answer<RetriedJobs> {
        let RetryFailedJobsRequest { queue, kind } = body.0;
        let filter = JobFilter { queue, kind, ..JobFilter::default() };
        let retried = control::retry_failed(core.0, &auth.origin, &filter).await?;
        Ok(ApiResponse::success(RetriedJobs { retried }))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn failed() -> Option<ManagedJobState> {
    Some(ManagedJobState::Failed)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn default_queue() -> Option<SearchText> {
    Some(SearchText("default".to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_kind() -> Option<SearchText> {
    Some(SearchText(ManagedJob::example().kind))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_searched_id() -> Option<SearchText> {
    Some(SearchText(an_id().to_string()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn a_time() -> Option<DateTime<Utc>> {
    Some(DateTime::UNIX_EPOCH)
}

impl Example for RetryFailedJobsRequest {
    fn example() -> Self {
        Self { queue: Some("default".to_owned()), kind: Some(ManagedJob::example().kind) }
    }
}

impl Example for RetriedJobs {
    fn example() -> Self {
        Self { retried: 3 }
    }
}
