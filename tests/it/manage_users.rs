//! What staff do to users.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    second_factor,
    support::{TestApp, app::PASSWORD, http::Answer, wait},
};

const USERS: &str = "/api/v1/backoffice/users";
const ADA: &str = "ada@example.com";

/// A user who is signed in, and a member of the staff.
struct Stage {
    app: TestApp,
    admin: String,
    id: String,
    user: String,
}

impl Stage {
    async fn set() -> Self {
        let mut app = TestApp::start().await;
        let admin = app.admin_token().await;
        let user = app.user_token(ADA).await;
        let id = id_of(&app, &admin, ADA).await;
        Self { app, admin, id, user }
    }

    fn send(
        &self,
        method: Method,
        what: &str,
        body: Value,
    ) -> impl Future<Output = Answer> + use<> {
        let request = self.app.request(method, &format!("{USERS}/{}{what}", self.id));
        let request = request.bearer(&self.admin);
        if body.is_null() { request.send() } else { request.json(body).send() }
    }

    fn act(&self, what: &str, body: Value) -> impl Future<Output = Answer> + use<> {
        self.send(Method::POST, &format!("/{what}"), body)
    }

    async fn read(&self) -> Value {
        self.send(Method::GET, "", Value::Null).await.data()
    }

    async fn me(&self) -> Answer {
        self.app.get("/api/v1/users/me").bearer(&self.user).send().await
    }

    async fn login(&self) -> Answer {
        let body = json!({"email": ADA, "password": PASSWORD});
        self.app.post("/api/v1/auth/login", body).send().await
    }
}

async fn id_of(app: &TestApp, admin: &str, email: &str) -> String {
    let found = app.get(&format!("{USERS}?q={email}")).bearer(admin).send().await.data();
    found["items"][0]["id"].as_str().expect("an id").to_owned()
}

fn because() -> Value {
    json!({"reason": "Just a test."})
}

#[tokio::test]
async fn a_created_user_chooses_a_password_by_mail_and_is_verified_so() {
    let mut app = TestApp::start().await;
    let admin = app.admin_token().await;
    let body = json!({"email": "Grace@Example.com", "name": "Grace", "locale": "en-GB"});
    let create = || app.post(USERS, body.clone()).bearer(&admin).send();
    let user = create().await.data();
    assert_eq!((&user["email"], &user["name"]), (&json!("grace@example.com"), &json!("Grace")));
    assert!(user.get("email_verified_at").is_none() && user["locale"] == "en-GB", "{user}");
    create().await.assert_error(409, "email_taken");

    let token = app.reset_token_for("grace@example.com").await;
    let reset = json!({"token": token, "new_password": PASSWORD});
    app.post("/api/v1/auth/reset-password", reset).send().await.assert_done();
    app.welcomed("grace@example.com").await;
    app.login("grace@example.com").await;
}

#[tokio::test]
async fn of_two_who_change_a_user_the_second_is_told_and_loses_nothing() {
    let stage = Stage::set().await;
    let path = format!("{USERS}/{}", stage.id);
    let tag = stage.app.get(&path).bearer(&stage.admin).send().await.header("etag").to_owned();
    let patch = async |body: Value| {
        let request = stage.app.request(Method::PATCH, &path).bearer(&stage.admin);
        request.header("if-match", &tag).json(body).send().await
    };
    let changed = patch(json!({"name": "Ada L.", "time_zone": "Europe/London"})).await.data();
    assert_eq!(
        (&changed["name"], &changed["time_zone"]),
        (&json!("Ada L."), &json!("Europe/London"))
    );
    patch(json!({"name": null})).await.assert_error(412, "precondition_failed");
    assert_eq!(stage.read().await, changed);
    let faults = stage.send(Method::PATCH, "", json!({"time_zone": "Mars/Olympus"})).await.faults();
    assert_eq!(faults, [("time_zone".to_owned(), "time_zone".to_owned())]);
    let cleared = stage.send(Method::PATCH, "", json!({"name": null})).await.data();
    assert!(cleared.get("name").is_none() && cleared["time_zone"] == "Europe/London", "{cleared}");
    let faults = stage.send(Method::PATCH, "", json!({"status": "active"})).await.faults();
    assert_eq!(faults, [("status".to_owned(), "unknown".to_owned())]);
}

#[tokio::test]
async fn a_suspension_ends_when_it_is_said_to() {
    let stage = Stage::set().await;
    let until = |hours| (stage.app.clock.now() + TimeDelta::hours(hours)).to_rfc3339();
    let body = |hours| json!({"reason": "Just a test.", "until": until(hours)});
    let faults = stage.act("suspend", body(-1)).await.faults();
    assert_eq!(faults, [("until".to_owned(), "past".to_owned())]);
    let user = stage.act("suspend", body(2)).await.data();
    assert!(user["suspended_until"].is_string(), "{user}");
    stage.me().await.assert_error(403, "account_suspended");
    // Another suspension meanwhile: the first one's end is none of its own.
    stage.act("reactivate", because()).await.data();
    stage.act("suspend", body(30)).await.data();

    stage.app.clock.advance(TimeDelta::hours(3));
    stage.app.core.jobs.waker.wake();
    let admin = stage.app.admin_login().await["access_token"].as_str().expect("text").to_owned();
    let stage = Stage { admin, ..stage };
    let jobs = "/api/v1/backoffice/jobs?kind=user.lift_suspension&state=succeeded";
    wait(async || {
        let jobs = stage.app.get(jobs).bearer(&stage.admin).send().await.data();
        (jobs["total"] == 1).then_some(())
    })
    .await;
    assert_eq!(stage.read().await["status"], "suspended");

    stage.app.clock.advance(TimeDelta::hours(28));
    stage.app.core.jobs.waker.wake();
    let admin = stage.app.admin_login().await["access_token"].as_str().expect("text").to_owned();
    let stage = Stage { admin, ..stage };
    let user = wait(async || {
        let user = stage.read().await;
        (user["status"] == "active").then_some(user)
    })
    .await;
    assert!(user.get("suspended_until").is_none() && user.get("status_changed_by").is_none());
    assert_eq!(stage.login().await.status, 200);
}

#[tokio::test]
async fn a_deleted_user_is_kept_out_and_can_be_restored_in_time() {
    let stage = Stage::set().await;
    stage.act("restore", because()).await.assert_error(409, "user_not_deleted");
    let user = stage.act("delete", because()).await.data();
    assert!(user["status"] == "deleted" && user["deletion_due_at"].is_string(), "{user}");
    stage.me().await.assert_error(403, "account_suspended");
    stage.login().await.assert_error(403, "account_suspended");
    for what in ["delete", "suspend", "reactivate"] {
        stage.act(what, because()).await.assert_error(409, "user_deleted");
    }
    let user = stage.act("restore", because()).await.data();
    assert!(user["status"] == "active" && user.get("deletion_due_at").is_none(), "{user}");
    assert_eq!(stage.login().await.status, 200);
    stage.me().await.assert_error(401, "session_ended");
}

#[tokio::test]
async fn staff_verify_an_address_or_have_another_code_sent() {
    let mut app = TestApp::start().await;
    let admin = app.admin_token().await;
    let register = json!({"email": ADA, "password": PASSWORD});
    app.post("/api/v1/auth/register", register).send().await.assert_done();
    app.code_for(ADA).await;
    let id = id_of(&app, &admin, ADA).await;
    let mut stage = Stage { app, admin, id, user: String::new() };
    stage.act("resend-code", Value::Null).await.assert_done();
    stage.app.code_for(ADA).await;
    stage.login().await.assert_error(401, "invalid_credentials");
    let user = stage.act("verify", Value::Null).await.data();
    assert!(user["email_verified_at"].is_string(), "{user}");
    stage.app.welcomed(ADA).await;
    assert_eq!(stage.login().await.status, 200);
    stage.act("resend-code", Value::Null).await.assert_error(409, "user_already_verified");
    // Again it changes nothing, and welcomes nobody.
    let again = stage.act("verify", Value::Null).await.data();
    assert_eq!(again["email_verified_at"], user["email_verified_at"]);
}

#[tokio::test]
async fn a_forced_reset_leaves_neither_password_nor_session() {
    let mut stage = Stage::set().await;
    stage.act("force-password-reset", Value::Null).await.assert_done();
    stage.me().await.assert_error(401, "session_ended");
    stage.login().await.assert_error(401, "invalid_credentials");
    let token = stage.app.reset_token_for(ADA).await;
    let reset = json!({"token": token, "new_password": PASSWORD});
    stage.app.post("/api/v1/auth/reset-password", reset).send().await.assert_done();
    assert_eq!(stage.login().await.status, 200);
}

#[tokio::test]
async fn a_lost_second_factor_is_removed_and_its_user_told() {
    let second = second_factor::Stage::set().await;
    let (app, user) = (second.app, second.token);
    let admin = app.admin_token().await;
    let id = id_of(&app, &admin, ADA).await;
    let mut stage = Stage { app, admin, id, user };
    assert_eq!(stage.read().await["has_second_factor"], true);
    let remove = || stage.send(Method::DELETE, "/second-factor", Value::Null);
    assert_eq!(remove().await.status, 204);
    remove().await.assert_error(409, "second_factor_not_enabled");
    assert_eq!(stage.read().await["has_second_factor"], false);
    stage.me().await.assert_error(401, "session_ended");
    assert_eq!(stage.login().await.status, 200, "the password alone");
    let notices = async |app: &mut TestApp| app.notice_to(ADA).await.subject;
    let subjects = [notices(&mut stage.app).await, notices(&mut stage.app).await];
    assert!(subjects.contains(&"Your second factor was removed".to_owned()), "{subjects:?}");
}

#[tokio::test]
async fn sessions_of_a_user_are_listed_and_ended() {
    let stage = Stage::set().await;
    let other = stage.login().await.data()["access_token"].as_str().expect("text").to_owned();
    let sessions = async || stage.send(Method::GET, "/sessions", Value::Null).await.data();
    let found = sessions().await;
    assert_eq!(found["items"].as_array().expect("a list").len(), 2, "{found}");
    let newest = found["items"][0]["id"].as_str().expect("an id").to_owned();
    let end = |id: &str| stage.send(Method::DELETE, &format!("/sessions/{id}"), Value::Null);
    assert_eq!(end(&newest).await.status, 204);
    end(&newest).await.assert_error(404, "not_found");
    let me = stage.app.get("/api/v1/users/me").bearer(&other).send().await;
    me.assert_error(401, "session_ended");
    assert_eq!(stage.me().await.status, 200);
    assert_eq!(stage.send(Method::DELETE, "/sessions", Value::Null).await.status, 204);
    stage.me().await.assert_error(401, "session_ended");
    assert_eq!(sessions().await["items"], json!([]));
    let nobody = Stage { id: "01975b2e-7c40-7000-8000-000000000001".to_owned(), ..stage };
    for method in [Method::GET, Method::DELETE] {
        let answer = nobody.send(method, "/sessions", Value::Null).await;
        answer.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn notes_about_a_user_are_for_staff_alone() {
    let stage = Stage::set().await;
    for text in ["Called about a refund.", "Was sent one."] {
        let note = stage.act("notes", json!({"text": text})).await.data();
        assert!(note["text"] == text && note["written_by"].is_string(), "{note}");
        stage.app.clock.advance(TimeDelta::minutes(1));
    }
    let list = async || stage.send(Method::GET, "/notes", Value::Null).await.data();
    let notes = list().await;
    assert_eq!(notes["items"][0]["text"], "Was sent one.", "newest first: {notes}");
    let id = notes["items"][1]["id"].as_str().expect("an id").to_owned();
    let delete = || stage.send(Method::DELETE, &format!("/notes/{id}"), Value::Null);
    assert_eq!(delete().await.status, 204);
    delete().await.assert_error(404, "not_found");
    assert_eq!(list().await["items"].as_array().expect("a list").len(), 1);
    assert!(!stage.me().await.text.contains("Was sent one."));
    let nobody = Stage { id: "01975b2e-7c40-7000-8000-000000000001".to_owned(), ..stage };
    nobody.act("notes", json!({"text": "x"})).await.assert_error(404, "not_found");
    nobody.send(Method::GET, "/notes", Value::Null).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn one_row_of_a_bulk_action_that_fails_keeps_no_other_from_it() {
    let mut stage = Stage::set().await;
    let bob = stage.app.user_token("bob@example.com").await;
    let bob_id = id_of(&stage.app, &stage.admin, "bob@example.com").await;
    let nobody = "01975b2e-7c40-7000-8000-000000000001";
    let ids = [&stage.id, nobody, &bob_id];
    let run = async |action: &str| {
        let body = json!({"ids": ids, "reason": "Just a test."});
        let path = format!("{USERS}/bulk/{action}");
        stage.app.post(&path, body).bearer(&stage.admin).send().await.data()["results"].clone()
    };
    let short = |results: &Value| -> Vec<String> {
        let results = results.as_array().expect("a list").iter().zip(ids);
        let row = |(row, id): (&Value, &str)| {
            assert_eq!(row["id"], id);
            assert_eq!(row["is_done"], row.get("error").is_none(), "{row}");
            row["error"].as_str().unwrap_or("done").to_owned()
        };
        results.map(row).collect()
    };
    for (action, rows) in [
        ("end-sessions", ["done", "not_found", "done"]),
        ("suspend", ["done", "not_found", "done"]),
        ("suspend", ["user_already_suspended", "not_found", "user_already_suspended"]),
        ("reactivate", ["done", "not_found", "done"]),
        ("delete", ["done", "not_found", "done"]),
        ("restore", ["done", "not_found", "done"]),
        ("restore", ["user_not_deleted", "not_found", "user_not_deleted"]),
    ] {
        assert_eq!(short(&run(action).await), rows, "{action}");
    }
    for token in [&stage.user, &bob] {
        let me = stage.app.get("/api/v1/users/me").bearer(token).send().await;
        me.assert_error(401, "session_ended");
    }
    let faults = [("ids", "too_few"), ("ids[1]", "repeated")];
    for (ids, (field, rule)) in [json!([]), json!([nobody, nobody])].into_iter().zip(faults) {
        let body = json!({"ids": ids, "reason": "Just a test."});
        let request = stage.app.post(&format!("{USERS}/bulk/suspend"), body);
        let faults = request.bearer(&stage.admin).send().await.faults();
        assert_eq!(faults, [(field.to_owned(), rule.to_owned())]);
    }
}

#[tokio::test]
async fn users_are_exported_without_formulas() {
    let mut stage = Stage::set().await;
    let body = json!({"email": "eve@example.com", "name": "=HYPERLINK(\"x\"),1"});
    stage.app.post(USERS, body).bearer(&stage.admin).send().await.data();
    stage.app.reset_token_for("eve@example.com").await;
    let export = async |query: &str| {
        let path = format!("{USERS}/export{query}");
        stage.app.get(&path).bearer(&stage.admin).send().await
    };
    let all = export("").await;
    assert_eq!(all.status, 200, "{}", all.text);
    assert!(all.header("content-type").starts_with("text/csv"));
    assert_eq!(all.header("content-disposition"), "attachment; filename=\"users.csv\"");
    let lines: Vec<&str> = all.text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("id,email,name,"), "{lines:?}");
    assert!(lines[1].contains(",eve@example.com,\"'=HYPERLINK(\"\"x\"\"),1\","), "{lines:?}");
    let one = export("?q=ada&verified=true").await;
    assert_eq!(one.text.lines().count(), 2, "{}", one.text);
    let logs = "/api/v1/backoffice/audit-logs?action=user.exported";
    let logs = stage.app.get(logs).bearer(&stage.admin).send().await.data();
    assert_eq!(logs["total"], 2, "each is recorded");
}

#[tokio::test]
async fn c19_what_staff_do_to_a_user_is_recorded() {
    let stage = Stage::set().await;
    stage.send(Method::PATCH, "", json!({"name": "Ada L."})).await.data();
    for what in ["suspend", "reactivate", "delete", "restore"] {
        stage.act(what, because()).await.data();
    }
    stage.act("verify", Value::Null).await.data();
    stage.act("notes", json!({"text": "Called."})).await.data();
    stage.send(Method::DELETE, "/sessions", Value::Null).await;
    let path = format!("/api/v1/backoffice/audit-logs?subject=user:{}&per_page=100", stage.id);
    let logs = stage.app.get(&path).bearer(&stage.admin).send().await.data();
    let logs: Vec<&Value> = logs["items"].as_array().expect("a list").iter().rev().collect();
    let by_admin = |log: &&&Value| log["actor_kind"] == "admin";
    let actions: Vec<&Value> = logs.iter().filter(by_admin).map(|log| &log["action"]).collect();
    let expected = [
        "updated",
        "suspended",
        "reactivated",
        "deleted",
        "restored",
        "verified",
        "note_written",
        "sessions_ended",
    ];
    assert_eq!(
        actions,
        expected.map(|action| json!(format!("user.{action}"))).iter().collect::<Vec<_>>()
    );
    let suspended = logs.iter().find(|log| log["action"] == "user.suspended").expect("one");
    assert_eq!(suspended["reason"], "Just a test.");
    let status = [&suspended["before"]["status"], &suspended["after"]["status"]];
    assert_eq!(status, [&json!("active"), &json!("suspended")]);
    assert!(!suspended.to_string().contains("argon2"), "{suspended}");
}
