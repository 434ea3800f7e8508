//! What does jobs of a kind.

use std::{future::Future, sync::Arc};

use chrono::TimeDelta;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::worker::Entry;
use crate::{
    db::{DbError, Origin},
    services::{Core, Kind, ServiceError, jobs::Job},
};

/// Does jobs of a kind. A job may be done twice: when its worker dies after the effect and before it could
/// say so. What must not happen twice is made so that it can't, such as by a row's state.
pub trait Handler: Job {
    /// What is kept of a job that has succeeded, for who asks; `()` for nothing.
    type Output: Serialize + Send;

    /// Does it, within [`Job::TIME_LIMIT`].
    fn run(self, context: Context) -> impl Future<Output = Result<Self::Output, JobError>> + Send;
}

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may succeed later: it is tried again, as long as it has tries left.
    #[error("to be tried again")]
    Retry {
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
        /// Not before then; otherwise after a pause that doubles with each try.
        after: Option<TimeDelta>,
    },
    /// It can't be done for now, which is not its own fault: the try doesn't count.
    #[error("postponed")]
    Postpone {
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
        after: TimeDelta,
    },
    /// It can't succeed: it is given up.
    #[error("given up")]
    Fail(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It has seen that it is to end.
    #[error("cancelled")]
    Cancelled,
}

impl JobError {
    /// It may succeed later.
    pub fn retry(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Retry { cause: cause.into(), after: None }
    }

    /// It can't succeed.
    pub fn fail(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Fail(cause.into())
    }
}

/// What was refused will be refused again; a fault may pass, and so does something that is down, soon.
impl From<ServiceError> for JobError {
    fn from(error: ServiceError) -> Self {
        /// That a try has failed is noted when the database is back, if it was that.
        const SOON: TimeDelta = TimeDelta::seconds(2);
        match error.code.kind() {
            Kind::Unavailable => Self::Retry { cause: error.into(), after: Some(SOON) },
            Kind::Internal => Self::retry(error),
            _ => Self::fail(error),
        }
    }
}

impl From<DbError> for JobError {
    fn from(error: DbError) -> Self {
        ServiceError::from(error).into()
    }
}

/// What a job has while it runs.
#[derive(Clone)]
pub struct Context {
    pub core: Arc<Core>,
    pub id: Uuid,
    /// Which try it is, from 1.
    pub attempt: i32,
    /// After which it is given up.
    pub max_attempts: i32,
    /// On whose behalf its changes are made: the program's own, with the request that asked for it.
    pub origin: Origin,
    /// Who asked for it.
    pub user_id: Option<Uuid>,
    pub admin_id: Option<Uuid>,
    pub(super) entry: Arc<Entry>,
}

impl Context {
    /// Tells those who watch how far it is, in per cent, and what it does.
    pub fn progress(&self, percent: u8, message: impl Into<String>) {
        self.entry.tell(percent.min(100), message.into());
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.entry.cancelled.is_cancelled()
    }

    /// Resolves when it is to end. It is stopped ten seconds later.
    pub fn cancelled(&self) -> CancellationToken {
        self.entry.cancelled.clone()
    }

    /// Whether no other try will follow.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts
    }
}
