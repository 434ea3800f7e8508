//! Another user's object is not there (OWASP ASVS 5.0, 8.2.2; API1:2023): every operation of the client API with
//! an identifier in its path, by its owner and by somebody else.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::{
    adapters::random::Random,
    api::{self, Surface},
    db::{Origin, notifications},
};
use uuid::Uuid;

use crate::{
    files::{PNG, Stage},
    support::{TestApp, TestDb, app::PASSWORD, http::Answer, statements::Statements},
};

const OWNER: &str = "ada@example.com";
const OTHER: &str = "bob@example.com";
const UNKNOWN: &str = "01975b2e-7c40-7000-8000-000000000001";

/// Makes an object of the owner's for an operation, and says how it is looked for: a new operation with an
/// identifier needs a row here.
async fn make(app: &TestApp, operation: &str) -> Uuid {
    match operation {
        "end_session" => {
            let token = login(app, OWNER).await;
            let sessions = app.get("/api/v1/auth/sessions?limit=1").bearer(&token).send().await;
            id(&sessions.data()["items"][0]["id"])
        }
        "read_notification" => {
            let mut tx = app.core.db.begin(&Origin::system("test")).await.expect("begun");
            let now = tx.now;
            let me = app.get("/api/v1/users/me").bearer(&login(app, OWNER).await).send().await;
            let new = notifications::NewNotification {
                id: Random.id(now),
                user_id: id(&me.data()["id"]),
                kind: "password_changed",
                data: json!({}),
                now,
            };
            let id = new.id;
            notifications::insert(&mut tx, new).await.expect("stored");
            tx.commit().await.expect("committed");
            id
        }
        "get_file" | "upload_file" | "complete_file" | "delete_file" | "get_file_download" => {
            let stage = Stage::of(app, login(app, OWNER).await);
            if operation == "upload_file" {
                id(&stage.pending("image/png", PNG).await["file"]["id"])
            } else if operation == "complete_file" {
                let created = stage.pending("image/png", PNG).await;
                stage.upload(&created, PNG).await;
                id(&created["file"]["id"])
            } else {
                stage.ready("image/png", PNG).await.parse().expect("an identifier")
            }
        }
        "get_post" | "update_post" | "delete_post" | "publish_post" | "schedule_post"
        | "report_post" | "get_post_reactions" | "like_post" | "unlike_post" | "list_comments"
        | "create_comment" | "list_revisions" => draft(app).await,
        "restore_revision" => {
            let (id, token) = (draft(app).await, login(app, OWNER).await);
            let path = format!("/api/v1/posts/{id}");
            let change = app.request(Method::PATCH, &path).bearer(&token);
            change.json(json!({"title": "Still mine"})).send().await.data();
            id
        }
        "get_attachment_download" => {
            let (id, token) = (draft(app).await, login(app, OWNER).await);
            let file = Stage::of(app, token.clone()).ready("image/png", PNG).await;
            let change = app.request(Method::PATCH, &format!("/api/v1/posts/{id}"));
            change.bearer(&token).json(json!({"attachment_ids": [file]})).send().await.data();
            id
        }
        "delete_comment" => {
            let (post, token) = (draft(app).await, login(app, OWNER).await);
            let path = format!("/api/v1/posts/{post}/comments");
            id(&app.post(&path, json!({"body": "Mine."})).bearer(&token).send().await.data()["id"])
        }
        "unpublish_post" => act(app, Method::POST, "/publish").await,
        "restore_post" => act(app, Method::DELETE, "").await,
        "sign_file_parts" | "list_file_parts" => {
            let body = crate::files::attachment("application/pdf", 30);
            let path = format!("{}/multipart", crate::files::FILES);
            let token = login(app, OWNER).await;
            let created = app.post(&path, body).bearer(&token).send().await.data();
            id(&created["file"]["id"])
        }
        other => panic!("{other}: whose is it? Make one here."),
    }
}

/// A draft of the owner's.
async fn draft(app: &TestApp) -> Uuid {
    let body = json!({"title": "Mine", "body": "Mine."});
    let token = login(app, OWNER).await;
    id(&app.post("/api/v1/posts", body).bearer(&token).send().await.data()["id"])
}

/// The same, after something was done to it.
async fn act(app: &TestApp, method: Method, what: &str) -> Uuid {
    let (id, token) = (draft(app).await, login(app, OWNER).await);
    let done = app.request(method, &format!("/api/v1/posts/{id}{what}")).bearer(&token).send();
    assert!((200..300).contains(&done.await.status));
    id
}

/// The last revision of an object, if it has one.
async fn revision(app: &TestApp, id: &str, token: &str) -> String {
    let path = format!("/api/v1/posts/{id}/revisions");
    let found = app.get(&path).bearer(token).send().await.json();
    found["data"]["items"][0]["id"].as_str().unwrap_or(UNKNOWN).to_owned()
}

/// The file that comes with an object, if there is one.
async fn attachment(app: &TestApp, id: &str, token: &str) -> String {
    let found = app.get(&format!("/api/v1/posts/{id}")).bearer(token).send().await.json();
    found["data"]["attachments"][0]["id"].as_str().unwrap_or(UNKNOWN).to_owned()
}

/// What a request for an operation brings, where it must bring something.
fn body(app: &TestApp, operation: &str) -> Option<Value> {
    let tomorrow = app.clock.now() + TimeDelta::days(1);
    match operation {
        "update_post" => Some(json!({"title": "Still mine"})),
        "create_comment" => Some(json!({"body": "Mine."})),
        "report_post" => Some(json!({"reason": "spam"})),
        "schedule_post" => Some(json!({"publish_at": tomorrow})),
        "sign_file_parts" => Some(json!({"numbers": [1]})),
        _ => None,
    }
}

fn id(value: &Value) -> Uuid {
    value.as_str().expect("text").parse().expect("an identifier")
}

async fn login(app: &TestApp, email: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD});
    let answer = app.post("/api/v1/auth/login", body).send().await;
    answer.data()["access_token"].as_str().expect("a token").to_owned()
}

/// What a caller sees of a failure, without what differs for each request.
fn seen(answer: &Answer) -> (u16, Value) {
    let mut json = answer.json();
    json.as_object_mut().expect("an envelope").shift_remove("request_id");
    (answer.status, json)
}

#[tokio::test]
async fn c16_another_users_object_is_not_there() {
    let db = TestDb::create().await;
    let mut registrar = TestApp::builder().database_url(&db.url).start().await;
    for email in [OWNER, OTHER] {
        registrar.verified_user(email).await;
    }
    registrar.stop_background().await;
    let statements = Statements::watch();
    // What is kept would hide what is asked.
    let uncached = Statements::app().setting("TWOFOLD_CACHE__ENABLED", "false");
    let app = uncached.database_url(&db.url).start().await;
    let (owner, other) = (login(&app, OWNER).await, login(&app, OTHER).await);
    let mut seen_operations = 0;
    for document in api::documents(None) {
        if document.surface != Surface::Client {
            continue;
        }
        // Pictures are for everybody.
        let owned = |id: &str| id != "get_picture";
        let all = document.operations().filter(|operation| operation.path.contains('{'));
        for operation in all.filter(|operation| owned(&operation.operation_id)) {
            let at = &operation.operation_id;
            let method: Method = operation.method.parse().expect("a method");
            let call = async |token: &str, id: &str| {
                let mut path = operation.path.replace("{id}", id);
                // Time passes while it is looked for: sessions are read anew then.
                if path.contains("{revision_id}") {
                    path = path.replace("{revision_id}", &revision(&app, id, &owner).await);
                }
                if path.contains("{file_id}") {
                    path = path.replace("{file_id}", &attachment(&app, id, &owner).await);
                }
                let request = app.request(method.clone(), &path).bearer(token);
                let request = match (at.as_str(), body(&app, at)) {
                    ("upload_file", _) => {
                        request.header("content-type", "application/octet-stream").body(PNG)
                    }
                    (_, Some(body)) => request.json(body),
                    (_, None) => request,
                };
                statements.of(request.send()).await
            };
            let object = make(&app, at).await.to_string();
            // Whether a session has ended is asked anew from time to time.
            let mut took = Vec::new();
            for _ in 0..5 {
                let (foreign, unknown) = (call(&other, &object).await, call(&other, UNKNOWN).await);
                assert_eq!(foreign.1.assert_error(404, "not_found")["code"], 404, "{at}");
                assert_eq!(seen(&foreign.1), seen(&unknown.1), "{at}");
                took.push((foreign.0, unknown.0));
            }
            let same = took.iter().any(|(foreign, unknown)| foreign == unknown);
            assert!(same, "{at}: it takes other statements: {took:?}");
            let unknown = call(&other, UNKNOWN).await;
            let malformed = call(&other, "no-identifier").await.1;
            assert_eq!(seen(&malformed), seen(&unknown.1), "{at}");
            // It is as it was, and its owner's.
            let own = call(&owner, &object).await.1;
            assert!((200..300).contains(&own.status), "{at}: {}", own.text);
            seen_operations += 1;
        }
    }
    assert!(seen_operations >= 2, "there are some");
}
