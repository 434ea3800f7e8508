//! What users hold against posts, for staff to decide about.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    types::Example,
};
use uuid::Uuid;

use super::Tag;
use crate::{
    api::{
        auth::StaffAuth,
        body::Body,
        envelope::{Answer, ApiResponse, Page},
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        same::same,
        types::Reason,
    },
    db::post_reports::{PostReport, ReportFilter, ReportReason, ReportSort, ReportState},
    services::{
        Core,
        permissions::{PostsModerate, PostsRead},
        reports,
    },
};

/// What a user holds against a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ReportedFor {
    Spam,
    Abuse,
    Illegal,
    Other,
}

/// What has become of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ReportStatus {
    Open,
    /// Something was done.
    Resolved,
    /// There was no reason to do anything.
    Dismissed,
}

/// A report of a post.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Report {
    /// The report's identifier.
    pub id: Uuid,
    /// The post that it is about.
    pub post_id: Uuid,
    /// That post's title.
    pub post_title: String,
    /// The user who reported it.
    pub reporter_id: Uuid,
    /// What the user holds against it.
    pub reason: ReportedFor,
    /// The same in the user's words; absent when there are none.
    #[oai(skip_serializing_if_is_none)]
    pub comment: Option<String>,
    /// What has become of it.
    pub status: ReportStatus,
    /// The admin who decided; absent while it is open.
    #[oai(skip_serializing_if_is_none)]
    pub decided_by: Option<Uuid>,
    /// When it was decided; absent while it is open.
    #[oai(skip_serializing_if_is_none)]
    pub decided_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Why a report is closed so.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct DecideReportRequest {
    /// For the record; no user sees it.
    pub reason: Reason,
}

same! {
    ReportedFor = ReportReason: Spam, Abuse, Illegal, Other;
    ReportStatus = ReportState: Open, Resolved, Dismissed;
}

impl From<PostReport> for Report {
    fn from(report: PostReport) -> Self {
        Self {
            id: report.id,
            post_id: report.post_id,
            post_title: report.post_title,
            reporter_id: report.reporter_id,
            reason: report.reason.into(),
            comment: report.comment,
            status: report.state.into(),
            decided_by: report.decided_by,
            decided_at: report.decided_at,
            created_at: report.created_at,
        }
    }
}

/// Operations on reports.
pub struct ReportsApi;

#[OpenApi(prefix_path = "/reports", tag = "Tag::Posts")]
impl ReportsApi {
    /// List reports
    ///
    /// One page of those that fit all filters, the oldest first: with `status=open` it is the queue.
    #[oai(path = "/", method = "get", operation_id = "list_reports")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<PostsRead>,
        core: Data<&Arc<Core>>,
        /// Which page, from 1; not with a cursor.
        page: Query<Option<PageNumber>>,
        /// How many a page holds.
        #[oai(default)]
        per_page: Query<PageSize>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How the list is sorted: `-` for descending.
        #[oai(default)]
        sort: Query<SortText<ReportSort>>,
        /// Only reports with this status.
        #[oai(example = "open")]
        status: Query<Option<ReportStatus>>,
        /// Only reports for this reason.
        #[oai(example = "spam")]
        reason: Query<Option<ReportedFor>>,
        /// Only reports of this post.
        #[oai(example = "some_id")]
        post_id: Query<Option<Uuid>>,
    ) -> Answer<Page<Report>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let (state, reason) = (status.0.map(Into::into), reason.0.map(Into::into));
        let filter = ReportFilter { state, reason, post_id: post_id.0 };
        let found = reports::list(core.0, filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read a report
    ///
    /// As it is now.
    #[oai(path = "/:id", method = "get", operation_id = "get_report")]
    async fn get(
        &self,
        _auth: StaffAuth<PostsRead>,
        core: Data<&Arc<Core>>,
        /// The report's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<Report> {
        Ok(ApiResponse::success(reports::get(core.0, id.0).await?.into()))
    }

    /// Resolve a report
    ///
    /// Something was done about it.
    #[oai(path = "/:id/resolve", method = "post", operation_id = "resolve_report")]
    async fn resolve(
        &self,
        auth: StaffAuth<PostsModerate>,
        core: Data<&Arc<Core>>,
        /// The report's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<DecideReportRequest>,
    ) -> Answer<Report> {
        let report = reports::resolve(core.0, &auth.origin, id.0, &body.0.reason.0).await?;
        Ok(ApiResponse::success(report.into()))
    }

    /// Dismiss a report
    ///
    /// It is no reason to do anything.
    #[oai(path = "/:id/dismiss", method = "post", operation_id = "dismiss_report")]
    async fn dismiss(
        &self,
        auth: StaffAuth<PostsModerate>,
        core: Data<&Arc<Core>>,
        /// The report's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
        body: Body<DecideReportRequest>,
    ) -> Answer<Report> {
        let report = reports::dismiss(core.0, &auth.origin, id.0, &body.0.reason.0).await?;
        Ok(ApiResponse::success(report.into()))
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn some_id() -> Option<Uuid> {
    Some(an_id())
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn open() -> Option<ReportStatus> {
    Some(ReportStatus::Open)
}

#[expect(clippy::unnecessary_wraps, reason = "of the parameter's type")]
fn spam() -> Option<ReportedFor> {
    Some(ReportedFor::Spam)
}

impl Example for Report {
    fn example() -> Self {
        Self {
            id: an_id(),
            post_id: an_id(),
            post_title: "On the Analytical Engine".to_owned(),
            reporter_id: an_id(),
            reason: ReportedFor::Other,
            comment: Some("It was copied from elsewhere.".to_owned()),
            status: ReportStatus::Resolved,
            decided_by: Some(an_id()),
            decided_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for DecideReportRequest {
    fn example() -> Self {
        Self { reason: Reason("Has agreed to name its source.".to_owned()) }
    }
}
