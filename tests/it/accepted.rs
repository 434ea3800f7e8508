//! 202 and a status address, as an operation with long work would use them.

use std::{sync::Arc, time::Duration};

use poem::web::Data;
use poem_openapi::{Object, OpenApi, OpenApiService, param::Path, types::Example};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use twofold::{
    api::{
        ApiVersion, Surface,
        accepted::{Accepted, JobStatus},
        auth::ClientAuth,
        envelope::{Answer, ApiResponse},
        error::ApiError,
    },
    jobs::{self, Context, Handler, JobError},
    services::{
        Code, Core, ServiceError,
        jobs::{Job, status::status_for},
    },
};
use uuid::Uuid;

use crate::support::{TestApp, wait};

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

/// Writes one.
#[derive(Serialize, Deserialize)]
struct Export {
    rows: u32,
}

impl Job for Export {
    const KIND: &'static str = "test.export";
    const QUEUE: &'static str = "exports";
}

impl Handler for Export {
    type Output = Value;

    async fn run(self, context: Context) -> Result<Value, JobError> {
        context.progress(40, "writing");
        match self.rows {
            0 => Err(JobError::fail("a cause that is no matter of callers")),
            rows => Ok(json!({"rows": rows})),
        }
    }
}

/// Another kind of work of the same people.
#[derive(Serialize, Deserialize)]
struct Import;

impl Job for Import {
    const KIND: &'static str = "test.import";
}

struct ExportApi;

#[OpenApi]
impl ExportApi {
    /// Start an export
    #[oai(path = "/exports/:rows", method = "post", operation_id = "create_export")]
    async fn create(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        rows: Path<u32>,
    ) -> Result<Accepted, ApiError> {
        let export = Export { rows: rows.0 };
        let id = store(core.0, &auth, &export).await.map_err(ApiError)?;
        Ok(Accepted::new(id, format!("/api/v2/exports/{id}"), Duration::from_secs(2)))
    }

    /// Start an import
    #[oai(path = "/imports", method = "post", operation_id = "create_import")]
    async fn import(&self, auth: ClientAuth, core: Data<&Arc<Core>>) -> Result<Accepted, ApiError> {
        let id = store(core.0, &auth, &Import).await.map_err(ApiError)?;
        // Where it is none of.
        Ok(Accepted::new(id, format!("/api/v2/exports/{id}"), Duration::ZERO))
    }

    /// Read how an export goes
    #[oai(path = "/exports/:id", method = "get", operation_id = "get_export")]
    async fn get(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        id: Path<Uuid>,
    ) -> Answer<JobStatus<ExportFile>> {
        let status = status_for::<Export>(core.0, auth.origin.actor, id.0).await?;
        Ok(ApiResponse::success(status.try_into()?))
    }
}

/// As a service would.
async fn store<J: Job>(core: &Core, auth: &ClientAuth, job: &J) -> Result<Uuid, ServiceError> {
    let mut tx = core.db.begin(&auth.origin).await?;
    let id = core.jobs.enqueue(core, &mut tx, job).await?;
    tx.commit().await?;
    Ok(id.expect("no key is taken"))
}

fn version() -> ApiVersion {
    ApiVersion::new(Surface::Client, "v2", OpenApiService::new(ExportApi, "Exports", "2.0"))
}

async fn start() -> TestApp {
    let registry = jobs::registry().handle::<Export>();
    TestApp::builder().version(version()).jobs(registry).start().await
}

/// Starts work: where to ask how it goes.
async fn accepted(app: &TestApp, path: &str, token: &str) -> String {
    let accepted = app.post(path, json!({})).bearer(token).send().await;
    let data = accepted.json()["data"].clone();
    let url = accepted.header("location").to_owned();
    assert_eq!((accepted.status, &data["status_url"]), (202, &json!(url)));
    url
}

#[tokio::test]
async fn long_work_is_accepted_and_can_be_asked_about() {
    let mut app = start().await;
    let token = app.user_token("ada@example.com").await;
    let accepted = app.post("/api/v2/exports/3", json!({})).bearer(&token).send().await;
    let status_url = accepted.header("location").to_owned();
    let id = status_url.rsplit('/').next().expect("an id");
    assert_eq!((accepted.status, accepted.header("retry-after")), (202, "2"));
    let expected = json!({
        "code": 202, "message": "Accepted", "data": {"id": id, "status_url": status_url}
    });
    assert_eq!(accepted.json(), expected);
    assert_eq!(accepted.header("etag"), "");

    let status = wait(async || {
        let status = app.get(&status_url).bearer(&token).send().await;
        (status.data()["state"] == "succeeded").then_some(status)
    })
    .await;
    let expected = json!({"id": id, "state": "succeeded", "progress": 100, "result": {"rows": 3}});
    let mut found = status.data();
    // What it said last may come a little later, or never.
    found.as_object_mut().expect("an object").remove("message");
    assert_eq!(found, expected);
    // Who asks again and again gets a body only when something has changed.
    let again = app.get(&status_url).bearer(&token).header("if-none-match", status.header("etag"));
    assert_eq!(again.send().await.status, 304);
    app.get(&status_url).send().await.assert_error(401, "unauthenticated");
    app.post("/api/v2/exports/3", json!({})).send().await.assert_error(401, "unauthenticated");
}

#[tokio::test]
async fn callers_are_told_that_work_was_given_up_and_not_why() {
    let mut app = start().await;
    let token = app.user_token("ada@example.com").await;
    let url = accepted(&app, "/api/v2/exports/0", &token).await;
    let status = wait(async || {
        let status = app.get(&url).bearer(&token).send().await.data();
        (status["state"] == "failed").then_some(status)
    })
    .await;
    let (error, message) = (Code::JobFailed.identifier(), Code::JobFailed.message());
    assert_eq!((&status["error"], &status["message"]), (&json!(error), &json!(message)));
    assert!(status.get("result").is_none() && !status.to_string().contains("a cause"), "{status}");
}

#[tokio::test]
async fn work_is_told_of_to_who_asked_for_it_only() {
    let mut app = start().await;
    let (ada, bob) =
        (app.user_token("ada@example.com").await, app.user_token("bob@example.com").await);
    let url = accepted(&app, "/api/v2/exports/3", &ada).await;
    app.get(&url).bearer(&ada).send().await.data();
    app.get(&url).bearer(&bob).send().await.assert_error(404, "not_found");
    // Nor is other work of one's own told of there.
    let import = accepted(&app, "/api/v2/imports", &ada).await;
    app.get(&import).bearer(&ada).send().await.assert_error(404, "not_found");
    let unknown = "/api/v2/exports/01975b2e-7c40-7000-8000-000000000001";
    app.get(unknown).bearer(&ada).send().await.assert_error(404, "not_found");
}

#[tokio::test]
async fn the_document_says_it() {
    let app = TestApp::builder().version(version()).start().await;
    let document = app.get("/client/v2/openapi.json").send().await.json();
    let accepted = &document["paths"]["/api/v2/exports/{rows}"]["post"]["responses"]["202"];
    let headers: Vec<&String> = accepted["headers"].as_object().expect("headers").keys().collect();
    assert_eq!(headers, ["LOCATION", "RETRY-AFTER", "X-Request-Id"]);
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["AcceptedResponse"]["properties"]["code"]["example"], 202);
    let states = ["queued", "running", "succeeded", "failed", "cancelled"];
    assert_eq!(schemas["JobState"]["enum"], json!(states));
    let progress = &schemas["JobStatus_ExportFile"]["properties"]["progress"];
    assert_eq!(progress["maximum"], 100.0);
}
