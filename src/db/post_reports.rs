//! `post_reports`: what users hold against posts.

use chrono::{DateTime, Utc};
use diesel::{dsl, pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Conn,
    count::{self, Total},
    keyset::{Window, sortable},
    schema::{post_reports, posts},
    text_enum,
};

text_enum! {
    /// What a user holds against a post.
    ReportReason {
        Spam = "spam",
        Abuse = "abuse",
        Illegal = "illegal",
        Other = "other",
    }
}

text_enum! {
    /// What has become of a report.
    ReportState {
        Open = "open",
        /// Something was done.
        Resolved = "resolved",
        /// There was no reason to do anything.
        Dismissed = "dismissed",
    }
}

/// The title of the post that a report is about.
#[dsl::auto_type]
fn post_title() -> _ {
    let of_report = posts::id.eq(post_reports::post_id);
    posts::table.filter(of_report).select(posts::title).single_value().assume_not_null()
}

/// A report of a post.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = post_reports, check_for_backend(Pg))]
pub struct PostReport {
    pub id: Uuid,
    pub post_id: Uuid,
    #[diesel(select_expression = post_title())]
    pub post_title: String,
    pub reporter_id: Uuid,
    pub reason: ReportReason,
    pub comment: Option<String>,
    pub state: ReportState,
    /// Who decided; unset when that admin is no more.
    pub decided_by: Option<Uuid>,
    pub decided_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What a new row needs: an open report.
#[derive(Debug, Insertable)]
#[diesel(table_name = post_reports, check_for_backend(Pg))]
pub struct NewReport<'a> {
    pub id: Uuid,
    pub post_id: Uuid,
    pub reporter_id: Uuid,
    pub reason: ReportReason,
    pub comment: Option<&'a str>,
    pub state: ReportState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Stores a report; `false` while one of the same user about the same post is open.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewReport<'_>) -> QueryResult<bool> {
    let insert = diesel::insert_into(post_reports::table).values(new);
    Ok(insert.on_conflict_do_nothing().execute(conn).await? == 1)
}

/// The report with this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<PostReport>> {
    post_reports::table.find(id).select(PostReport::as_select()).first(conn).await.optional()
}

sortable! {
    /// What a list of reports can be sorted by.
    ReportSort: PostReport, post_reports, "created_at", [created_at]
}

/// Which reports to list.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct ReportFilter {
    pub state: Option<ReportState>,
    pub reason: Option<ReportReason>,
    pub post_id: Option<Uuid>,
}

fn matching(filter: ReportFilter) -> post_reports::BoxedQuery<'static, Pg> {
    let mut query = post_reports::table.into_boxed();
    if let Some(state) = filter.state {
        query = query.filter(post_reports::state.eq(state));
    }
    if let Some(reason) = filter.reason {
        query = query.filter(post_reports::reason.eq(reason));
    }
    if let Some(post_id) = filter.post_id {
        query = query.filter(post_reports::post_id.eq(post_id));
    }
    query
}

/// How many reports match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: ReportFilter) -> QueryResult<Total> {
    count::count(conn, matching(filter).select(post_reports::id).limit(count::LIMIT)).await
}

/// The reports in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: ReportFilter,
    window: &Window<ReportSort>,
) -> QueryResult<Vec<PostReport>> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(PostReport::as_select())
        .load(conn)
        .await
}

/// Of an open report, or of all open ones of a post.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    Report(Uuid),
    OfPost(Uuid),
}

/// What staff decide about reports.
#[derive(Debug, Clone, Copy)]
pub struct Decision {
    pub state: ReportState,
    /// The admin.
    pub by: Option<Uuid>,
    pub now: DateTime<Utc>,
}

/// Decides about open reports, and returns how many there were.
///
/// # Errors
/// When the statement fails.
pub async fn decide(conn: &mut Conn, which: Which, decision: Decision) -> QueryResult<usize> {
    let open = diesel::update(post_reports::table)
        .filter(post_reports::state.eq(ReportState::Open))
        .set((
            post_reports::state.eq(decision.state),
            post_reports::decided_by.eq(decision.by),
            post_reports::decided_at.eq(decision.now),
            post_reports::updated_at.eq(decision.now),
        ))
        .into_boxed();
    match which {
        Which::Report(id) => open.filter(post_reports::id.eq(id)),
        Which::OfPost(post_id) => open.filter(post_reports::post_id.eq(post_id)),
    }
    .execute(conn)
    .await
}
