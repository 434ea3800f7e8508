//! Versions of an API side by side, and operations on their way out (`docs/versioning.md`).

use std::sync::Arc;

use chrono::NaiveDate;
use poem::web::Data;
use poem_openapi::{Object, OpenApi, OpenApiService, param::Query, payload::Json, types::Example};
use reqwest::Method;
use twofold::{
    api::{
        ApiVersion, Deprecation, Surface,
        auth::ClientAuth,
        envelope::{Answer, ApiResponse},
    },
    services::Core,
};

use crate::support::TestApp;

/// What the second version of an operation answers.
#[derive(Object)]
#[oai(example)]
struct AccountV2 {
    /// The address, under a better name.
    login: String,
}

impl Example for AccountV2 {
    fn example() -> Self {
        Self { login: "ada@example.com".to_owned() }
    }
}

struct ApiV2;

#[OpenApi]
impl ApiV2 {
    /// Read one's own account
    #[oai(path = "/users/me", method = "get", operation_id = "get_current_user")]
    async fn me(
        &self,
        auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// How much of it.
        #[oai(validator(maximum(value = "3")))]
        depth: Query<Option<u32>>,
    ) -> Answer<AccountV2> {
        let _ = depth;
        Ok(ApiResponse::success(AccountV2 { login: auth.account(core.0).await?.email }))
    }

    /// An old way
    #[oai(path = "/users/old", method = "get", operation_id = "get_old")]
    async fn old(&self) -> Json<AccountV2> {
        Json(AccountV2::example())
    }
}

fn version_2() -> ApiVersion {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a day");
    let deprecation = |operation_id| Deprecation {
        operation_id,
        since: day(2026, 11, 1),
        sunset: Some(day(2027, 5, 1)),
        guide: Some("https://docs.shop.test/v3"),
    };
    ApiVersion::new(Surface::Client, "v2", OpenApiService::new(ApiV2, "Shop API", "2.0"))
        .deprecate([deprecation("get_old")])
}

#[tokio::test]
async fn a_second_version_stands_beside_the_first() {
    let mut app = TestApp::builder().version(version_2()).start().await;
    let token = app.user_token("ada@example.com").await;
    let first = app.get("/api/v1/users/me").bearer(&token).send().await.data();
    assert_eq!(first["email"], "ada@example.com");
    let second = app.get("/api/v2/users/me").bearer(&token).send().await.data();
    assert_eq!(second, serde_json::json!({"login": "ada@example.com"}));

    // The whole edge is the same: guards, faults by the version's own document, methods.
    app.get("/api/v2/users/me").send().await.assert_error(401, "unauthenticated");
    let faults = app.get("/api/v2/users/me?depth=9").bearer(&token).send().await.faults();
    assert_eq!(faults, [("depth".to_owned(), "too_large".to_owned())]);
    let answer = app.request(Method::PATCH, "/api/v2/users/me").send().await;
    answer.assert_error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    app.get("/api/v2/auth/login").send().await.assert_error(404, "route_not_found");
    app.get("/api/v2/backoffice/users").send().await.assert_error(404, "route_not_found");
}

#[tokio::test]
async fn each_version_has_its_own_document_and_pages() {
    let app = TestApp::builder().version(version_2()).start().await;
    let first = app.get("/client/openapi.json").send().await.json();
    let second = app.get("/client/v2/openapi.json").send().await.json();
    assert!(first["paths"].get("/api/v2/users/me").is_none());
    let paths: Vec<&String> = second["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(paths, ["/api/v2/users/me", "/api/v2/users/old"]);
    assert_eq!(app.get("/api-docs/client-v2.json").send().await.json(), second);
    for page in ["docs", "redoc"] {
        let page = app.get(&format!("/client/v2/{page}")).send().await;
        assert_eq!(page.status, 200);
    }
    let navigation = app.get("/").send().await.text;
    assert!(navigation.contains("\"/client/v2/docs\""), "{navigation}");
}

#[tokio::test]
async fn a_deprecated_operation_says_so_in_document_and_answers() {
    let app = TestApp::builder().version(version_2()).start().await;
    let document = app.get("/client/v2/openapi.json").send().await.json();
    let old = &document["paths"]["/api/v2/users/old"]["get"];
    assert_eq!((&old["deprecated"], &old["x-sunset"]), (&true.into(), &"2027-05-01".into()));
    let headers = old["responses"]["200"]["headers"].as_object().expect("headers");
    let names: Vec<&String> = headers.keys().collect();
    assert_eq!(names, ["ETag", "X-Request-Id", "Deprecation", "Sunset", "Link"]);
    assert!(document["paths"]["/api/v2/users/me"]["get"].get("deprecated").is_none());

    // Failures of the operation say it as well.
    for (method, tag, status) in
        [(Method::GET, "*", 200), (Method::HEAD, "*", 200), (Method::GET, "\"other\"", 412)]
    {
        let request = app.request(method, "/api/v2/users/old").header("if-match", tag);
        let answer = request.send().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("deprecation"), "@1793491200");
        assert_eq!(answer.header("sunset"), "Sat, 01 May 2027 00:00:00 GMT");
        assert_eq!(answer.header("link"), "<https://docs.shop.test/v3>; rel=\"deprecation\"");
    }
    let other = app.get("/api/v2/users/me").send().await;
    assert_eq!((other.status, other.header("deprecation")), (401, ""));
}
