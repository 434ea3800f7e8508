//! Deletes what is of no use any more.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{Context, Handler, JobError};
use crate::{
    db::{
        DbError,
        cleanup::{Stale, delete},
        mails,
    },
    services::{jobs::Job, mails::DeliverMail, posts},
};

/// What to clean up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Tokens,
    Sessions,
    IdempotencyKeys,
    JobHistory,
    Mails,
    Notifications,
    Posts,
}

/// Deletes what is of no use any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CleanUp {
    pub what: What,
}

impl What {
    /// Which rows, and for how long they are kept.
    fn rows(self, history: TimeDelta) -> Vec<(Stale, TimeDelta)> {
        match self {
            Self::Tokens => vec![
                (Stale::OneTimeCodes, TimeDelta::days(1)),
                (Stale::LoginChallenges, TimeDelta::days(1)),
                (Stale::StaffLoginChallenges, TimeDelta::days(1)),
                (Stale::StaffPasswordResets, TimeDelta::days(1)),
            ],
            // Staff want to see what somebody did lately.
            Self::Sessions => vec![
                (Stale::UserSessions, TimeDelta::days(30)),
                (Stale::AdminSessions, TimeDelta::days(30)),
            ],
            Self::IdempotencyKeys => vec![(Stale::IdempotencyKeys, TimeDelta::zero())],
            Self::JobHistory => vec![(Stale::Jobs, history)],
            // Staff look up what somebody was sent.
            Self::Mails => vec![(Stale::Mails, TimeDelta::days(90))],
            Self::Notifications => vec![(Stale::Notifications, TimeDelta::days(180))],
            // Until then their authors can restore them.
            Self::Posts => vec![(Stale::Posts, posts::BIN)],
        }
    }
}

impl Job for CleanUp {
    const KIND: &'static str = "database.clean_up";
    const QUEUE: &'static str = "maintenance";
    const TIME_LIMIT: Duration = Duration::from_hours(1);

    fn unique_key(&self) -> Option<String> {
        Some(format!("{}:{:?}", Self::KIND, self.what))
    }
}

/// How many rows were deleted.
#[derive(Debug, Serialize)]
pub struct Deleted {
    deleted: usize,
}

impl Handler for CleanUp {
    type Output = Deleted;

    async fn run(self, context: Context) -> Result<Deleted, JobError> {
        /// Takes some tens of milliseconds.
        const AT_ONCE: i64 = 5000;
        let core = &context.core;
        let mut deleted = 0;
        if self.what == What::Mails {
            let mut conn = core.db.conn().await?;
            let given_up =
                mails::give_up_abandoned(&mut conn, DeliverMail::KIND, core.clock.now()).await;
            if given_up.map_err(DbError::from)? > 0 {
                tracing::warn!("mails were given up, for their jobs had ended");
            }
        }
        for (stale, kept) in self.what.rows(core.jobs.history) {
            let before = core.clock.now() - kept;
            while !context.is_cancelled() {
                let mut conn = core.db.conn().await?;
                let found =
                    delete(&mut conn, stale, before, AT_ONCE).await.map_err(DbError::from)?;
                deleted += found;
                if found < AT_ONCE.unsigned_abs().try_into().unwrap_or(usize::MAX) {
                    break;
                }
                context.progress(50, format!("{deleted} rows"));
            }
        }
        Ok(Deleted { deleted })
    }
}
