//! Staff who act as users (security condition 18).

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, app::PASSWORD, http::Answer, wait};

const USERS: &str = "/api/v1/backoffice/users";
const ADA: &str = "ada@example.com";
const SUPPORT: &str = "support@example.com";

/// A user, and a member of the staff who acts as that user.
struct Stage {
    app: TestApp,
    admin: String,
    id: String,
}

impl Stage {
    async fn set(may_write: bool) -> Self {
        let setting = if may_write { "true" } else { "false" };
        let builder = TestApp::builder();
        let mut app =
            builder.setting("TWOFOLD_STAFF__IMPERSONATION_MAY_WRITE", setting).start().await;
        app.verified_user(ADA).await;
        let admin = app.staff_token(SUPPORT, &["support"]).await;
        let path = format!("{USERS}?q={ADA}");
        let found = app.get(&path).bearer(&admin).send().await.data();
        let id = found["items"][0]["id"].as_str().expect("an id").to_owned();
        Self { app, admin, id }
    }

    async fn begin(&self, body: Value) -> Answer {
        let path = format!("{USERS}/{}/impersonate", self.id);
        self.app.post(&path, body).bearer(&self.admin).send().await
    }

    async fn token(&self) -> Value {
        self.begin(json!({"reason": "Ticket 4711."})).await.data()
    }

    async fn end(&self) -> Answer {
        let path = format!("{USERS}/{}/impersonate", self.id);
        self.app.request(Method::DELETE, &path).bearer(&self.admin).send().await
    }

    async fn me(&self, token: &Value) -> Answer {
        self.app.get("/api/v1/users/me").bearer(access(token)).send().await
    }

    /// What the audit log has of impersonations of the user, the latest first.
    async fn log(&self) -> Vec<Value> {
        let path = format!("/api/v1/backoffice/audit-logs?subject=user:{}&per_page=100", self.id);
        let found = self.app.get(&path).bearer(&self.admin).send().await.data();
        let all = found["items"].as_array().expect("a list").iter();
        let is_one = |entry: &&Value| {
            entry["action"].as_str().is_some_and(|action| action.starts_with("user.impersonat"))
        };
        all.filter(is_one).cloned().collect()
    }
}

fn access(token: &Value) -> &str {
    token["access_token"].as_str().expect("a token")
}

fn claims(token: &str) -> Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("Base64");
    serde_json::from_slice(&payload).expect("JSON")
}

#[tokio::test]
async fn c18_staff_see_what_a_user_sees_and_change_nothing() {
    let stage = Stage::set(false).await;
    for blank in [json!({}), json!({"reason": ""}), json!({"reason": " \t"})] {
        let faults = stage.begin(blank).await.faults();
        assert_eq!(faults[0].0, "reason");
    }
    let token = stage.token().await;
    assert_eq!(token["expires_in"], 900);
    assert!(token.get("refresh_token").is_none(), "{token}");
    let me = stage.app.get("/api/v1/backoffice/auth/me").bearer(&stage.admin).send().await.data();
    let claims = claims(access(&token));
    assert_eq!(claims["sub"], stage.id.as_str());
    assert_eq!(claims["act"]["sub"], me["id"], "{claims}");

    assert_eq!(stage.me(&token).await.data()["email"], ADA);
    let patch = stage.app.request(Method::PATCH, "/api/v1/users/me").bearer(access(&token));
    let answer = patch.json(json!({"name": "Eve"})).send().await;
    answer.assert_error(403, "impersonation_forbidden");
    assert!(stage.me(&token).await.data().get("name").is_none_or(|name| name != "Eve"));
    // Nor is there a way to keep it.
    let refresh = json!({"refresh_token": access(&token)});
    let answer = stage.app.post("/api/v1/auth/refresh", refresh).send().await;
    answer.assert_error(401, "invalid_token");
}

#[tokio::test]
async fn c18_the_user_sees_it_and_may_end_it() {
    let stage = Stage::set(false).await;
    let token = stage.token().await;
    let user = stage.app.login(ADA).await;
    let user = user["access_token"].as_str().expect("a token");
    let list = stage.app.get("/api/v1/auth/sessions").bearer(user).send().await.data();
    let seen = list["items"].as_array().expect("a list");
    let of = |id: &Value| {
        let found = seen.iter().find(|session| session["id"] == *id);
        found.expect("listed")["is_impersonation"].as_bool().expect("a switch")
    };
    assert!(of(&token["session_id"]));
    assert_eq!(seen.iter().filter(|session| session["is_impersonation"] == true).count(), 1);
    let path = format!("{USERS}/{}/sessions", stage.id);
    let list = stage.app.get(&path).bearer(&stage.admin).send().await.data();
    let named = list["items"].as_array().expect("a list").iter();
    assert_eq!(named.filter(|session| session["impersonator_id"].is_string()).count(), 1);

    let path = format!("/api/v1/auth/sessions/{}", token["session_id"].as_str().expect("an id"));
    let answer = stage.app.request(Method::DELETE, &path).bearer(user).send().await;
    assert_eq!(answer.status, 204);
    stage.me(&token).await.assert_error(401, "session_ended");
    let [end, begin] = &stage.log().await[..] else { panic!("two entries") };
    assert_eq!(
        (&begin["action"], &end["action"]),
        (&json!("user.impersonated"), &json!("user.impersonation_ended"))
    );
    assert_eq!((&end["actor_kind"], &end["actor_id"]), (&json!("user"), &json!(stage.id)));
}

#[tokio::test]
async fn c18_both_ends_are_recorded_with_who_and_why() {
    let stage = Stage::set(false).await;
    let me = stage.app.get("/api/v1/backoffice/auth/me").bearer(&stage.admin).send().await.data();
    let token = stage.token().await;
    let [begin] = &stage.log().await[..] else { panic!("one entry") };
    assert_eq!(
        (&begin["reason"], &begin["actor_id"], &begin["after"]["session_id"]),
        (&json!("Ticket 4711."), &me["id"], &token["session_id"])
    );
    assert_eq!(stage.end().await.status, 204);
    stage.me(&token).await.assert_error(401, "session_ended");
    stage.end().await.assert_error(404, "not_found");
    let end = &stage.log().await[0];
    assert_eq!(
        (&end["action"], &end["actor_id"], &end["before"]["impersonator_id"]),
        (&json!("user.impersonation_ended"), &me["id"], &me["id"])
    );
    // By the app's own button.
    let token = stage.token().await;
    let log_out = |scope: &str| {
        let body = json!({"scope": scope});
        stage.app.post("/api/v1/auth/logout", body).bearer(access(&token)).send()
    };
    for others in ["others", "global"] {
        log_out(others).await.assert_error(403, "impersonation_forbidden");
    }
    assert_eq!(log_out("local").await.status, 204);
    let end = &stage.log().await[0];
    assert_eq!(
        (&end["action"], &end["actor_id"], &end["impersonator_id"]),
        (&json!("user.impersonation_ended"), &json!(stage.id), &me["id"])
    );
    // By time.
    let token = stage.token().await;
    stage.app.clock.advance(TimeDelta::seconds(900));
    stage.me(&token).await.assert_error(401, "token_expired");
    wait(async || {
        let token = stage.app.staff_login(SUPPORT).await;
        let path = format!("/api/v1/backoffice/audit-logs?subject=user:{}", stage.id);
        let bearer = token["access_token"].as_str().expect("a token");
        let found = stage.app.get(&path).bearer(bearer).send().await.data();
        let latest = &found["items"][0];
        (latest["action"] == "user.impersonation_ended" && latest["actor_kind"] == "system")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn c18_it_ends_with_the_session_and_the_permission_of_who_acts() {
    let stage = Stage::set(false).await;
    let token = stage.token().await;
    stage.me(&token).await.data();
    stage.app.set_roles(SUPPORT, &["moderator"]).await;
    stage.app.clock.advance(TimeDelta::seconds(1));
    stage.me(&token).await.assert_error(401, "session_ended");
    stage.begin(json!({"reason": "Ticket 4711."})).await.assert_error(403, "permission_denied");
    stage.app.set_roles(SUPPORT, &["support"]).await;
    stage.app.clock.advance(TimeDelta::seconds(1));
    stage.me(&token).await.data();
    let out = stage.app.request(Method::POST, "/api/v1/backoffice/auth/logout");
    assert_eq!(out.bearer(&stage.admin).send().await.status, 204);
    stage.me(&token).await.assert_error(401, "session_ended");
}

#[tokio::test]
async fn c18_with_the_setting_they_write_but_nothing_about_signing_in() {
    let stage = Stage::set(true).await;
    let me = stage.app.get("/api/v1/backoffice/auth/me").bearer(&stage.admin).send().await.data();
    let token = stage.token().await;
    let send = |method: Method, path: &str, body: Value| {
        let request = stage.app.request(method, &format!("/api/v1{path}"));
        request.bearer(access(&token)).json(body).send()
    };
    let changed = send(Method::PATCH, "/users/me", json!({"name": "Ada L."})).await.data();
    assert_eq!(changed["name"], "Ada L.");
    let password = json!({"current_password": PASSWORD, "new_password": "another one of these"});
    let step_up = json!({"password": PASSWORD});
    let session = format!("/auth/sessions/{}", token["session_id"].as_str().expect("an id"));
    for (method, path, body) in [
        (Method::POST, "/users/me/change-password", password),
        (Method::POST, "/auth/step-up", step_up),
        (Method::POST, "/users/me/change-email", json!({"email": "eve@example.com"})),
        (Method::POST, "/auth/mfa/totp", json!({})),
        (Method::DELETE, "/users/me", json!({})),
        (Method::DELETE, &session, json!({})),
    ] {
        let answer = send(method, path, body).await;
        answer.assert_error(403, "impersonation_forbidden");
    }
    stage.app.login(ADA).await;
    assert_eq!(stage.end().await.status, 204);
    let end = &stage.log().await[0];
    assert_eq!(end["before"]["impersonator_id"], me["id"]);
}

#[tokio::test]
async fn c18_only_active_users_are_acted_as_and_what_ends_sessions_ends_it() {
    let stage = Stage::set(false).await;
    let token = stage.token().await;
    let because = json!({"reason": "Just a test."});
    let suspend = stage.app.post(&format!("{USERS}/{}/suspend", stage.id), because.clone());
    suspend.bearer(&stage.admin).send().await.data();
    stage.me(&token).await.assert_error(403, "account_suspended");
    assert_eq!(stage.log().await[0]["action"], "user.impersonation_ended");
    stage.begin(because).await.assert_error(409, "user_not_active");
}

#[tokio::test]
async fn c12_to_act_as_a_user_staff_prove_first_who_they_are() {
    let stage = Stage::set(false).await;
    stage.app.clock.advance(TimeDelta::minutes(16));
    stage.begin(json!({"reason": "Just a test."})).await.assert_error(403, "step_up_required");
}
