//! 202 and a status address, as an operation with long work would use them.

use std::time::Duration;

use poem_openapi::{Object, OpenApi, OpenApiService, param::Path, types::Example};
use serde_json::json;
use twofold::{
    api::{
        ApiVersion, Surface,
        accepted::{Accepted, JobState, JobStatus},
        auth::ClientAuth,
        envelope::{Answer, ApiResponse},
        error::ApiError,
    },
    services::Code,
};
use uuid::Uuid;

use crate::support::TestApp;

/// What comes of an export.
#[derive(Object)]
#[oai(example)]
struct ExportFile {
    /// How many rows it has.
    rows: u32,
}

impl Example for ExportFile {
    fn example() -> Self {
        Self { rows: 3 }
    }
}

struct ExportApi;

const ID: Uuid = Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001);

#[OpenApi]
impl ExportApi {
    /// Start an export
    #[oai(path = "/exports", method = "post", operation_id = "create_export")]
    async fn create(&self, _auth: ClientAuth) -> Result<Accepted, ApiError> {
        Ok(Accepted::new(ID, format!("/api/v2/exports/{ID}"), Duration::from_secs(2)))
    }

    /// Read how an export goes
    #[oai(path = "/exports/:id", method = "get", operation_id = "get_export")]
    async fn get(&self, _auth: ClientAuth, id: Path<Uuid>) -> Answer<JobStatus<ExportFile>> {
        if id.0 != ID {
            return Err(Code::NotFound.into());
        }
        Ok(ApiResponse::success(JobStatus {
            id: id.0,
            state: JobState::Failed,
            progress: 40,
            message: Some(Code::Unavailable.message().to_owned()),
            result: None,
            error: Some(Code::Unavailable.identifier().to_owned()),
        }))
    }
}

fn version() -> ApiVersion {
    ApiVersion::new(Surface::Client, "v2", OpenApiService::new(ExportApi, "Exports", "2.0"))
}

#[tokio::test]
async fn long_work_is_accepted_and_can_be_asked_about() {
    let mut app = TestApp::builder().version(version()).start().await;
    let token = app.user_token("ada@example.com").await;
    let accepted = app.post("/api/v2/exports", json!({})).bearer(&token).send().await;
    let status_url = accepted.header("location").to_owned();
    assert_eq!((accepted.status, accepted.header("retry-after")), (202, "2"));
    let expected = json!({
        "code": 202, "message": "Accepted", "data": {"id": ID, "status_url": status_url}
    });
    assert_eq!(accepted.json(), expected);
    assert_eq!(accepted.header("etag"), "");

    let status = app.get(&status_url).bearer(&token).send().await;
    let expected = json!({
        "id": ID, "state": "failed", "progress": 40, "error": "service_unavailable",
        "message": "The service is unavailable for the moment. Try again."
    });
    assert_eq!(status.data(), expected);
    // Who asks again and again gets a body only when something has changed.
    let again = app.get(&status_url).bearer(&token).header("if-none-match", status.header("etag"));
    assert_eq!(again.send().await.status, 304);
    app.get(&status_url).send().await.assert_error(401, "unauthenticated");
    app.post("/api/v2/exports", json!({})).send().await.assert_error(401, "unauthenticated");
}

#[tokio::test]
async fn the_document_says_it() {
    let app = TestApp::builder().version(version()).start().await;
    let document = app.get("/client/v2/openapi.json").send().await.json();
    let accepted = &document["paths"]["/api/v2/exports"]["post"]["responses"]["202"];
    let headers: Vec<&String> = accepted["headers"].as_object().expect("headers").keys().collect();
    assert_eq!(headers, ["LOCATION", "RETRY-AFTER", "X-Request-Id"]);
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["AcceptedResponse"]["properties"]["code"]["example"], 202);
    let states = ["queued", "running", "succeeded", "failed", "cancelled"];
    assert_eq!(schemas["JobState"]["enum"], json!(states));
    let progress = &schemas["JobStatus_ExportFile"]["properties"]["progress"];
    assert_eq!(progress["maximum"], 100.0);
}
