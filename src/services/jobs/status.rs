//! How work goes, for the one who asked for it.

use serde_json::Value;
use uuid::Uuid;

use super::Job;
use crate::{
    db::{
        Actor,
        jobs::{self, JobState},
    },
    services::{Code, Core, Result},
};

/// How far a job is. Why it was given up is no matter of callers: the log and staff know.
#[derive(Debug, Clone)]
pub struct Status {
    pub id: Uuid,
    pub state: JobState,
    /// In per cent.
    pub progress: u8,
    /// What it does, in its own words.
    pub message: Option<String>,
    /// What came of it, once it has succeeded.
    pub result: Option<Value>,
}

/// How a job goes that this actor has asked for: one statement.
///
/// # Errors
/// [`Code::NotFound`] as well when it is somebody else's, or of another kind.
pub async fn status_for<J: Job>(core: &Core, actor: Actor, id: Uuid) -> Result<Status> {
    let job = jobs::find(&mut *core.db.conn().await?, id).await?;
    let is_theirs = |job: &jobs::Job| match actor {
        Actor::User(id) => job.user_id == Some(id),
        Actor::Admin(id) => job.admin_id == Some(id),
        Actor::Anonymous | Actor::System => false,
    };
    let job = job.filter(|job| job.kind == J::KIND && is_theirs(job)).ok_or(Code::NotFound)?;
    Ok(Status {
        id: job.id,
        state: job.state,
        progress: u8::try_from(job.progress).unwrap_or_default(),
        message: job.message,
        result: job.result,
    })
}
