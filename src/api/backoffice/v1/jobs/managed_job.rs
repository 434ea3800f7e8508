//! A job as staff see it.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    db::jobs::{JobState, TryOutcome, control::Attempt},
    services::jobs::control::JobRow,
};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedJobState {
    /// For its time, for a worker, or for its next try.
    Waiting,
    Running,
    Succeeded,
    /// Given up: its tries are used up, or it can't succeed.
    Failed,
    Cancelled,
}

/// Which jobs of a queue are taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum JobPriority {
    High,
    Normal,
    Low,
}

/// How a try ended that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum JobTryOutcome {
    Failed,
    /// It took longer than its kind may.
    TimedOut,
    /// Its worker died.
    Crashed,
    Cancelled,
}

/// A piece of work in the background.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedJob {
    /// Its identifier.
    pub id: Uuid,
    /// Which queue it waits in.
    pub queue: String,
    /// What it does.
    pub kind: String,
    /// How far it is.
    pub state: ManagedJobState,
    /// Whether it is taken before others of its queue.
    pub priority: JobPriority,
    /// When it is due.
    pub run_at: DateTime<Utc>,
    /// Tries that count, the one under way included.
    pub attempts: i32,
    /// After how many tries it is given up.
    pub max_attempts: i32,
    /// How often its worker died while it ran alone.
    pub crashes: i32,
    /// Whether it is to end.
    pub cancel_requested: bool,
    /// In per cent.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    pub progress: i16,
    /// What it does at the moment.
    #[oai(skip_serializing_if_is_none)]
    pub message: Option<String>,
    /// Why the last try that failed did.
    #[oai(skip_serializing_if_is_none)]
    pub last_error: Option<String>,
    /// Who works on it, or did last.
    #[oai(skip_serializing_if_is_none)]
    pub worker_id: Option<Uuid>,
    /// The user who asked for it.
    #[oai(skip_serializing_if_is_none)]
    pub user_id: Option<Uuid>,
    /// The member of the staff who asked for it.
    #[oai(skip_serializing_if_is_none)]
    pub admin_id: Option<Uuid>,
    /// The request that asked for it, or the part of the program.
    pub request_id: String,
    /// When the last try began.
    #[oai(skip_serializing_if_is_none)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[oai(skip_serializing_if_is_none)]
    pub finished_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A try that did not succeed.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FailedTry {
    /// Which try it was, from 1.
    pub attempt: i32,
    /// How it ended.
    pub outcome: JobTryOutcome,
    /// Why.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
    /// Who worked on it.
    #[oai(skip_serializing_if_is_none)]
    pub worker_id: Option<Uuid>,
    /// When it began.
    #[oai(skip_serializing_if_is_none)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
}

/// All of a job.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedJobDetails {
    #[oai(flatten)]
    pub job: ManagedJob,
    /// What it is told, without secrets.
    pub payload: Value,
    /// What came of it, without secrets; absent until it has succeeded.
    #[oai(skip_serializing_if_is_none)]
    pub result: Option<Value>,
    /// The tries that did not succeed, the last first: a hundred at most.
    pub failed_tries: Vec<FailedTry>,
}

macro_rules! same_variants {
    ($from:ty => $to:ty { $($variant:ident),+ }) => {
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                match value { $(<$from>::$variant => Self::$variant),+ }
            }
        }
    };
}
same_variants!(JobState => ManagedJobState { Waiting, Running, Succeeded, Failed, Cancelled });
same_variants!(ManagedJobState => JobState { Waiting, Running, Succeeded, Failed, Cancelled });
same_variants!(TryOutcome => JobTryOutcome { Failed, TimedOut, Crashed, Cancelled });

impl From<JobRow> for ManagedJob {
    fn from(job: JobRow) -> Self {
        Self {
            id: job.id,
            queue: job.queue,
            kind: job.kind,
            state: job.state.into(),
            priority: match job.priority {
                ..=0 => JobPriority::High,
                1 => JobPriority::Normal,
                2.. => JobPriority::Low,
            },
            run_at: job.run_at,
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            crashes: job.crashes,
            cancel_requested: job.cancel_requested,
            progress: job.progress,
            message: job.message,
            last_error: job.last_error,
            worker_id: job.worker_id,
            user_id: job.user_id,
            admin_id: job.admin_id,
            request_id: job.request_id,
            started_at: job.started_at,
            finished_at: job.finished_at,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

impl From<Attempt> for FailedTry {
    fn from(attempt: Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            outcome: attempt.outcome.into(),
            error: attempt.error,
            worker_id: attempt.worker_id,
            started_at: attempt.started_at,
            ended_at: attempt.created_at,
        }
    }
}

impl From<(JobRow, Vec<Attempt>)> for ManagedJobDetails {
    fn from((mut job, attempts): (JobRow, Vec<Attempt>)) -> Self {
        Self {
            payload: job.payload.take(),
            result: job.result.take(),
            failed_tries: attempts.into_iter().map(Into::into).collect(),
            job: job.into(),
        }
    }
}

pub(in crate::api::backoffice::v1) fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

impl Example for ManagedJob {
    fn example() -> Self {
        Self {
            id: an_id(),
            queue: "default".to_owned(),
            kind: "database.clean_up".to_owned(),
            state: ManagedJobState::Failed,
            priority: JobPriority::Normal,
            run_at: DateTime::UNIX_EPOCH,
            attempts: 12,
            max_attempts: 12,
            crashes: 0,
            cancel_requested: false,
            progress: 40,
            message: Some("2,000 of 5,000 rows".to_owned()),
            last_error: Some("the server refused the connection".to_owned()),
            worker_id: Some(an_id()),
            user_id: Some(an_id()),
            admin_id: Some(an_id()),
            request_id: an_id().to_string(),
            started_at: Some(DateTime::UNIX_EPOCH),
            finished_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for FailedTry {
    fn example() -> Self {
        Self {
            attempt: 12,
            outcome: JobTryOutcome::Failed,
            error: Some("the server refused the connection".to_owned()),
            worker_id: Some(an_id()),
            started_at: Some(DateTime::UNIX_EPOCH),
            ended_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for ManagedJobDetails {
    fn example() -> Self {
        Self {
            job: ManagedJob::example(),
            payload: json!({"what": "sessions"}),
            result: Some(json!({"removed": 3})),
            failed_tries: vec![FailedTry::example()],
        }
    }
}
