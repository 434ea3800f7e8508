//! Conditional requests: `ETag`, `If-None-Match` and `If-Match`.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::api;

use crate::support::{TestApp, http::Answer};

const ADA: &str = "ada@example.com";
const ME: &str = "/api/v1/users/me";
const USERS: &str = "/api/v1/backoffice/users";

async fn read(app: &TestApp, token: &str, path: &str, tags: &str) -> Answer {
    app.get(path).bearer(token).header("if-none-match", tags).send().await
}

#[tokio::test]
async fn who_has_the_present_state_gets_no_body() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let first = app.get(ME).bearer(&token).send().await;
    let tag = first.header("etag").to_owned();
    let opaque = tag.trim_matches('"').to_owned();
    assert_eq!((tag.len(), opaque.len()), (34, 32), "strong: {tag}");
    for tags in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        format!("\"{opaque}-gzip\""),
        "*".to_owned(),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let request = app.request(method, ME).bearer(&token).header("if-none-match", &tags);
            let answer = request.send().await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{tags}");
            let shown = if tags.contains("gzip") { tags.clone() } else { tag.clone() };
            assert_eq!(answer.header("etag"), shown);
            assert_eq!(answer.header("cache-control"), "no-store");
            assert!(!answer.header("x-request-id").is_empty());
            assert_eq!(answer.header("content-type"), "");
        }
    }
    for tags in ["\"other\"", "W/\"other\"", "other", "", "\"unfinished"] {
        let answer = read(&app, &token, ME, tags).await;
        assert_eq!((answer.status, answer.header("etag")), (200, tag.as_str()), "{tags}");
    }
    let lines = app.get(ME).bearer(&token).header("if-none-match", "\"other\"");
    assert_eq!(lines.header("if-none-match", &tag).send().await.status, 304);
    let head = app.request(Method::HEAD, ME).bearer(&token).send().await;
    assert_eq!((head.status, head.header("etag"), head.text.as_str()), (200, tag.as_str(), ""));

    let change = app.request(Method::PATCH, ME).bearer(&token).json(json!({"name": "Countess"}));
    assert_eq!(change.send().await.status, 200);
    let answer = read(&app, &token, ME, &tag).await;
    assert!(answer.status == 200 && answer.header("etag") != tag, "{answer:?}");
    // The guard comes before the condition, and so does the query.
    read(&app, "x", ME, "*").await.assert_error(401, "invalid_token");
    read(&app, &token, &format!("{ME}?x=1"), "*").await.assert_error(422, "validation_failed");
    // A condition on reading, the other way round (RFC 9110, 13.1.1).
    let other = app.get(ME).bearer(&token).header("if-match", &tag).send().await;
    other.assert_error(412, "precondition_failed");
    let same = app.get(ME).bearer(&token).header("if-match", answer.header("etag"));
    same.send().await.data();
    let malformed = app.get(ME).bearer(&token).header("if-match", "x").send().await;
    malformed.assert_error(400, "malformed_request");
    app.get(ME).header("if-match", "x").send().await.assert_error(401, "unauthenticated");
}

#[tokio::test]
async fn what_is_for_everybody_may_be_kept_and_asked_for_anew() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    for path in ["/api/v1/posts", "/api/v1/tags"] {
        let first = app.get(path).send().await;
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        let again = app.get(path).header("if-none-match", first.header("etag")).send().await;
        assert_eq!((again.status, again.header("cache-control")), (304, "no-cache"), "{path}");
        let signed_in = app.get(path).bearer(&token).send().await;
        assert_eq!(signed_in.header("cache-control"), "no-store", "{path}");
    }
    let unknown = app.get("/api/v1/posts/unknown-0000000001").send().await;
    assert_eq!((unknown.status, unknown.header("cache-control")), (404, "no-store"));
}

#[tokio::test]
async fn lists_have_tags_and_what_differs_each_time_has_none() {
    let mut app = TestApp::start().await;
    let token = app.admin_token().await;
    for name in ["ada", "bob"] {
        app.verified_user(&format!("{name}@example.com")).await;
    }
    let path = format!("{USERS}?per_page=1");
    let first = app.get(&path).bearer(&token).send().await;
    assert_eq!(first.data()["has_more"], true, "with a cursor in it");
    assert_eq!(read(&app, &token, &path, first.header("etag")).await.status, 304);
    let second = format!("{USERS}?per_page=1&page=2");
    assert_eq!(read(&app, &token, &second, first.header("etag")).await.status, 200);

    let release = app.get("/api/v1/config/release").send().await;
    assert_eq!(release.header("cache-control"), "public, max-age=60");
    let tag = release.header("etag");
    let again = app.get("/api/v1/config/release").header("if-none-match", tag).send().await;
    assert_eq!((again.status, again.header("cache-control")), (304, "public, max-age=60"));

    let health = app.get("/api/v1/config/health").header("if-none-match", "*").send().await;
    assert_eq!((health.status, health.header("etag")), (200, ""));
    let login = app.login(ADA).await;
    assert!(login["access_token"].is_string());
    let missing = format!("{USERS}/01975b2e-7c40-7000-8000-000000000001");
    let missing = read(&app, &token, &missing, "*").await;
    missing.assert_error(404, "not_found");
    assert_eq!(missing.header("etag"), "");
}

#[tokio::test]
async fn a_change_meant_for_another_state_is_refused() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let patch = async |tags: &str, name: &str| {
        let request = app.request(Method::PATCH, ME).bearer(&token).header("if-match", tags);
        request.json(json!({"name": name})).send().await
    };
    let before = app.get(ME).bearer(&token).send().await;
    let tag = before.header("etag");
    for tags in ["\"other\"", "W/\"other\"", &format!("W/{tag}")] {
        let refused = patch(tags, "Eve").await;
        assert_eq!(refused.assert_error(412, "precondition_failed")["code"], 412, "{tags}");
    }
    for tags in ["", "other", "\"unfinished", "*, \"x\""] {
        patch(tags, "Eve").await.assert_error(400, "malformed_request");
    }
    assert_eq!(app.get(ME).bearer(&token).send().await.text, before.text, "nothing has changed");

    let changed = patch(tag, "Countess").await;
    let present = app.get(ME).bearer(&token).send().await;
    assert_eq!(changed.data()["name"], "Countess");
    assert_eq!(changed.header("etag"), present.header("etag"), "one can go on with it");
    patch(tag, "Eve").await.assert_error(412, "precondition_failed");
    let compressed = format!("{}-br\"", present.header("etag").trim_end_matches('"'));
    patch(&format!("\"other\", {compressed}"), "Augusta").await.data();
    patch("*", "Ada").await.data();
    // The guard and the query come first.
    let request = app.request(Method::PATCH, ME).header("if-match", "x").json(json!({}));
    request.send().await.assert_error(401, "unauthenticated");
}

#[tokio::test]
async fn of_many_who_change_the_same_state_one_does() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let tag = app.get(ME).bearer(&token).send().await.header("etag").to_owned();
    let change = |n: usize| {
        let request = app.request(Method::PATCH, ME).bearer(&token).header("if-match", &tag);
        request.json(json!({"name": format!("Ada {n}")})).send()
    };
    let all = join_all((0..10).map(change)).await;
    let with = |status| all.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(200), with(412)), (1, 9));
}

#[tokio::test]
async fn staff_do_not_decide_on_what_they_have_not_seen() {
    let mut app = TestApp::start().await;
    let token = app.admin_token().await;
    app.verified_user(ADA).await;
    let id = app.get(USERS).bearer(&token).send().await.data()["items"][0]["id"].clone();
    let path = format!("{USERS}/{}", id.as_str().expect("an id"));
    let act = async |what: &str, tags: &str| {
        let body = json!({"reason": "because"});
        let request = app.post(&format!("{path}/{what}"), body).bearer(&token);
        request.header("if-match", tags).send().await
    };
    let seen = app.get(&path).bearer(&token).send().await.header("etag").to_owned();
    let suspended = act("suspend", &seen).await;
    assert_eq!(suspended.data()["status"], "suspended");
    // Who acts on what was there before is told so, whatever else would be in the way.
    act("suspend", &seen).await.assert_error(412, "precondition_failed");
    act("reactivate", &seen).await.assert_error(412, "precondition_failed");
    let present = suspended.header("etag");
    assert_eq!(app.get(&path).bearer(&token).send().await.header("etag"), present);
    act("suspend", present).await.assert_error(409, "user_already_suspended");
    assert_eq!(act("reactivate", present).await.data()["status"], "active");
    let nobody = format!("{USERS}/01975b2e-7c40-7000-8000-000000000001/suspend");
    let request = app.post(&nobody, json!({"reason": "x"})).bearer(&token);
    request.header("if-match", &seen).send().await.assert_error(404, "not_found");
}

#[test]
fn the_documents_say_it() {
    for document in api::documents(None) {
        let json: Value = serde_json::from_str(&document.text).expect("JSON");
        for one in document.operations() {
            let operation = &json["paths"][&one.path][one.method.to_lowercase()];
            let header = |name: &str| {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                parameters.clone().any(|p| p["in"] == "header" && p["name"] == name)
            };
            let answers = operation["responses"].as_object().expect("responses");
            let at = &one.operation_id;
            // Files are written while they are read.
            let is_file = operation["responses"]["200"]["content"].get("text/csv").is_some();
            let is_tagged = one.method == "GET" && at != "get_health" && !is_file;
            assert_eq!(answers.contains_key("304"), is_tagged, "{at}");
            assert_eq!(header("If-None-Match"), is_tagged, "{at}");
            assert_eq!(answers.contains_key("412"), header("If-Match"), "{at}");
            let tag = answers.get("200").is_some_and(|ok| ok["headers"]["ETag"].is_object());
            // A deletion leaves nothing to be tagged.
            let is_deleted = answers.contains_key("204");
            assert_eq!(tag, is_tagged || (header("If-Match") && !is_deleted), "{at}");
        }
    }
}
