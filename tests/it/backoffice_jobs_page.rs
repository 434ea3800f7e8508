//! The page of the jobs: who sees it, and which operations its cookie opens.

use reqwest::{Method, redirect};
use serde_json::json;

use crate::{
    backoffice_jobs::{builder, enqueue, report},
    staff_pages::staff_cookie,
    support::{TestApp, http::Request},
};

const PAGE: &str = "/backoffice/jobs";
const DATA: &str = "/backoffice/jobs/data";

fn request(app: &TestApp, method: Method, path: &str, cookie: &str) -> Request {
    let client = reqwest::Client::builder().redirect(redirect::Policy::none()).build();
    let request = Request::new(&client.expect("a client"), method, format!("{}{path}", app.base));
    request.header("cookie", cookie)
}

/// As a browser sends what our own page asks for.
fn from_page(app: &TestApp, method: Method, path: &str, cookie: &str) -> Request {
    request(app, method, path, cookie).header("origin", &app.base)
}

#[tokio::test]
async fn it_is_there_whatever_becomes_of_the_documents_and_for_staff_only() {
    for (docs, staff_only) in [("true", "false"), ("true", "true"), ("false", "false")] {
        let builder = builder().setting("TWOFOLD_DOCS__ENABLED", docs);
        let app = builder.setting("TWOFOLD_DOCS__STAFF_SIGN_IN", staff_only).start().await;
        let html = |path: &str, cookie: &str| {
            request(&app, Method::GET, path, cookie).header("accept", "text/html").send()
        };
        let led = html(&format!("{PAGE}?state=failed"), "").await;
        let sign_in = "/backoffice/sign-in?return_to=%2Fbackoffice%2Fjobs%3Fstate%3Dfailed";
        assert_eq!((led.status, led.header("location")), (303, sign_in));
        for path in [PAGE, &format!("{DATA}/jobs"), &format!("{DATA}/queues")] {
            request(&app, Method::GET, path, "").send().await.assert_error(401, "unauthenticated");
        }
        let cookie = staff_cookie(&app).await;
        let page = html(PAGE, &cookie).await;
        assert!(page.status == 200 && page.text.contains("grace@example.com"), "{}", page.text);
        assert_eq!(
            app.get("/").send().await.text.contains("href=\"/backoffice/jobs\""),
            docs == "true"
        );
    }
}

#[tokio::test]
async fn its_cookie_opens_the_operations_of_the_page_and_no_others() {
    let app = builder().setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await;
    let cookie = staff_cookie(&app).await;
    let id = enqueue(&app, &report(true)).await;
    for path in ["jobs", "queues", "schedules", &format!("jobs/{id}")] {
        let answer = request(&app, Method::GET, &format!("{DATA}/{path}"), &cookie).send().await;
        answer.data();
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        let tag = answer.header("etag").to_owned();
        let again = request(&app, Method::GET, &format!("{DATA}/{path}"), &cookie);
        assert_eq!(again.header("if-none-match", &tag).send().await.status, 304, "{path}");
        // Their own addresses want a token.
        let operation = format!("/api/v1/backoffice/{path}");
        let refused = request(&app, Method::GET, &operation, &cookie).send().await;
        refused.assert_error(401, "unauthenticated");
    }
    for path in ["users", "auth/me", "", "/users", "jobs/../users", "%6Aobs", "jobs/%2e%2e/users"] {
        let answer = request(&app, Method::GET, &format!("{DATA}/{path}"), &cookie).send().await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
    // A token is no cookie.
    let token = app.admin_login().await["access_token"].as_str().expect("a token").to_owned();
    let bearer = app.get(&format!("{DATA}/jobs")).bearer(&token);
    bearer.send().await.assert_error(401, "unauthenticated");
    // What is wrong is told as the operation tells it.
    let path = format!("{DATA}/jobs?surely_unknown=1&state=odd");
    let faults = request(&app, Method::GET, &path, &cookie).send().await.faults();
    let named: Vec<&str> = faults.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(named, ["state", "surely_unknown"]);
    let wrong = from_page(&app, Method::PUT, &format!("{DATA}/jobs/{id}"), &cookie).send().await;
    wrong.assert_error(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "DELETE, GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn what_it_does_is_done_by_its_visitor_and_asked_for_by_our_own_page_only() {
    let app = builder().setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await;
    let cookie = staff_cookie(&app).await;
    let id = enqueue(&app, &report(true)).await;
    let (cancel, run) = (format!("{DATA}/jobs/{id}/cancel"), format!("{DATA}/schedules/daily/run"));
    for origin in [None, Some("null"), Some("http://evil.test")] {
        for (method, path) in [
            (Method::POST, cancel.as_str()),
            (Method::POST, &run),
            (Method::DELETE, &format!("{DATA}/jobs/{id}")),
            (Method::PATCH, &format!("{DATA}/schedules/daily")),
        ] {
            let mut forged = request(&app, method, path, &cookie).json(json!({"enabled": false}));
            if let Some(origin) = origin {
                forged = forged.header("origin", origin);
            }
            forged.send().await.assert_error(403, "forbidden");
        }
    }
    let cancelled = from_page(&app, Method::POST, &cancel, &cookie).send().await.data();
    assert_eq!(cancelled["state"], "cancelled");
    let started = from_page(&app, Method::POST, &run, &cookie).send().await;
    assert_eq!(started.status, 202);
    let job = started.json()["data"]["id"].as_str().expect("an id").to_owned();
    let token = app.admin_login().await["access_token"].as_str().expect("a token").to_owned();
    let me = app.get("/api/v1/backoffice/auth/me").bearer(&token).send().await.data();
    let job = app.get(&format!("/api/v1/backoffice/jobs/{job}")).bearer(&token).send().await;
    assert_eq!(job.data()["admin_id"], me["id"]);
    let path = format!("{DATA}/schedules/daily");
    let off = from_page(&app, Method::PATCH, &path, &cookie).json(json!({"enabled": false}));
    assert_eq!(off.send().await.data()["enabled"], false);
}
