//! 202: work that takes longer than a request, and where to ask how it goes (RFC 9110, 15.3.3).
//!
//! An operation that starts such work answers [`Accepted`]; the operation at its status address
//! answers a [`JobStatus`] with the type of its result, to nobody but who has asked for the work.

use std::time::Duration;

use poem_openapi::{
    ApiResponse as OpenApiResponse, Enum, Object,
    payload::Json,
    types::{Example, ParseFromJSON, ToJSON, Type},
};
use uuid::Uuid;

use super::error::ApiError;
use crate::{
    db::jobs,
    services::{Code, ServiceError, jobs::status::Status},
};

/// The answer of an operation that has started work.
#[derive(OpenApiResponse)]
pub enum Accepted {
    /// Accepted: ask at `Location` how it goes.
    #[oai(status = 202)]
    Accepted(
        Json<AcceptedResponse>,
        /// Where to ask.
        #[oai(header = "Location")]
        String,
        /// In how many seconds to ask first.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

impl Accepted {
    /// `status_url` is a path of this server; `ask_after` is when it is worth asking first.
    #[must_use]
    pub fn new(id: Uuid, status_url: String, ask_after: Duration) -> Self {
        let location = status_url.clone();
        let body = AcceptedResponse::of(AcceptedJob { id, status_url });
        Self::Accepted(Json(body), location, ask_after.as_secs().max(1))
    }
}

/// Work has been accepted.
#[derive(Debug, Object)]
#[oai(example)]
pub struct AcceptedResponse {
    /// 202: accepted, and not yet done.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
    /// What was accepted.
    pub data: AcceptedJob,
}

impl AcceptedResponse {
    fn of(data: AcceptedJob) -> Self {
        Self { code: 202, message: "Accepted".to_owned(), data }
    }
}

/// Work that has been accepted.
#[derive(Debug, Object)]
#[oai(example)]
pub struct AcceptedJob {
    /// Its identifier.
    pub id: Uuid,
    /// Where to ask how it goes: a path of this server.
    pub status_url: String,
}

/// How far work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    /// There is a result.
    Succeeded,
    /// There is an error.
    Failed,
    Cancelled,
}

/// How work goes.
#[derive(Debug, Object)]
#[oai(example)]
pub struct JobStatus<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> {
    /// Its identifier.
    pub id: Uuid,
    /// How far it is.
    pub state: JobState,
    /// In per cent.
    #[oai(validator(maximum(value = "100")))]
    pub progress: u8,
    /// What is being done, or why it has failed, for people.
    #[oai(skip_serializing_if_is_none)]
    pub message: Option<String>,
    /// What came of it, once it has succeeded.
    #[oai(skip_serializing_if_is_none)]
    pub result: Option<T>,
    /// Why it has failed: an `error` of the catalogue.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> TryFrom<Status> for JobStatus<T> {
    type Error = ApiError;

    /// Fails when the job's result isn't one of these.
    fn try_from(status: Status) -> Result<Self, ApiError> {
        let failure = (status.state == jobs::JobState::Failed).then_some(Code::JobFailed);
        let result = status.result.map(|result| T::parse_from_json(Some(result))).transpose();
        Ok(Self {
            id: status.id,
            state: status.state.into(),
            progress: status.progress,
            message: failure.map(|code| code.message().to_owned()).or(status.message),
            result: result.map_err(|error| ServiceError::internal(error.into_message()))?,
            error: failure.map(|code| code.identifier().to_owned()),
        })
    }
}

impl From<jobs::JobState> for JobState {
    fn from(state: jobs::JobState) -> Self {
        match state {
            jobs::JobState::Waiting => Self::Queued,
            jobs::JobState::Running => Self::Running,
            jobs::JobState::Succeeded => Self::Succeeded,
            jobs::JobState::Failed => Self::Failed,
            jobs::JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl Example for AcceptedResponse {
    fn example() -> Self {
        Self::of(AcceptedJob::example())
    }
}

impl Example for AcceptedJob {
    fn example() -> Self {
        let id = Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001);
        Self { id, status_url: format!("/api/v1/jobs/{id}") }
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> Example for JobStatus<T> {
    fn example() -> Self {
        Self {
            id: AcceptedJob::example().id,
            state: JobState::Succeeded,
            progress: 100,
            message: Some("2,000 of 2,000 rows".to_owned()),
            result: Some(T::example()),
            error: None,
        }
    }
}
