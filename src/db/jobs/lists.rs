//! Lists of jobs.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{Job, JobState};
use crate::db::{
    Conn,
    count::{self, Total},
    keyset::{Window, sortable},
    schema::jobs,
};

sortable! {
    /// What a list of jobs can be sorted by. Identifiers begin with the time (RFC 9562, version 7): an index
    /// of `created_at` would make each job dearer, and tell nothing else.
    JobSort: Job, jobs, "-created_at", [created_at = id, run_at, finished_at]
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct JobFilter {
    pub state: Option<JobState>,
    pub queue: Option<String>,
    pub kind: Option<String>,
    /// The identifier of the job, of its worker, of who asked for it, or of the request that did.
    pub search: Option<String>,
    pub created_from: Option<DateTime<Utc>>,
    /// From then on no more.
    pub created_to: Option<DateTime<Utc>>,
}

pub(super) fn matching(filter: &JobFilter) -> jobs::BoxedQuery<'_, Pg> {
    let mut query = jobs::table.into_boxed();
    if let Some(state) = filter.state {
        query = query.filter(jobs::state.eq(state));
    }
    if let Some(queue) = &filter.queue {
        query = query.filter(jobs::queue.eq(queue));
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(jobs::kind.eq(kind));
    }
    if let Some(text) = &filter.search {
        query = match text.parse::<Uuid>() {
            Ok(id) => query.filter(
                jobs::id
                    .eq(id)
                    .or(jobs::worker_id.eq(id))
                    .or(jobs::user_id.eq(id))
                    .or(jobs::admin_id.eq(id))
                    .or(jobs::request_id.eq(text)),
            ),
            Err(_) => query.filter(jobs::request_id.eq(text)),
        };
    }
    if let Some(from) = filter.created_from {
        query = query.filter(jobs::created_at.ge(from));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(jobs::created_at.lt(to));
    }
    query
}

/// How many jobs match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &JobFilter) -> QueryResult<Total> {
    count::count(conn, matching(filter).limit(count::LIMIT)).await
}

/// The jobs in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &JobFilter,
    window: &Window<JobSort>,
) -> QueryResult<Vec<Job>> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(Job::as_select())
        .load(conn)
        .await
}
