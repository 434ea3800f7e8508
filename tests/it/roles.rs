//! Roles: what they give, who may change them, and who may not.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, TestDb, frozen::Frozen, http::Answer};

const ROLES: &str = "/api/v1/backoffice/roles";
const ADA: &str = "ada@example.com";

fn role(name: &str, permissions: &[&str]) -> Value {
    json!({"name": name, "description": "For tests.", "permissions": permissions})
}

struct Caller<'a> {
    app: &'a TestApp,
    token: String,
}

impl Caller<'_> {
    async fn create(&self, body: Value) -> Answer {
        self.app.post(ROLES, body).bearer(&self.token).send().await
    }

    /// The path of a new role.
    async fn created(&self, name: &str, permissions: &[&str]) -> String {
        let made = self.create(role(name, permissions)).await.data();
        format!("{ROLES}/{}", made["id"].as_str().expect("an id"))
    }

    async fn update(&self, path: &str, body: Value) -> Answer {
        self.app.request(Method::PUT, path).bearer(&self.token).json(body).send().await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.app.request(Method::DELETE, path).bearer(&self.token).send().await
    }

    async fn get(&self, path: &str) -> Answer {
        self.app.get(path).bearer(&self.token).send().await
    }

    /// The path of a shipped role.
    async fn shipped(&self, name: &str) -> String {
        let found = self.get(&format!("{ROLES}?q={name}&sort=name")).await.data();
        let items = found["items"].as_array().expect("a list");
        let one = items.iter().find(|item| item["name"] == name).expect("it is shipped");
        assert_eq!(one["is_shipped"], true);
        format!("{ROLES}/{}", one["id"].as_str().expect("an id"))
    }
}

/// What a refusal says is missing.
fn missing(answer: &Answer) -> Vec<String> {
    let json = answer.assert_error(403, "permission_denied");
    let errors = json["errors"].as_array().expect("named");
    errors.iter().map(|error| error["error"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn a_role_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let grace = Caller { app: &app, token: app.admin_token().await };
    let made = grace.create(role("billing", &["users:suspend", "users:read"])).await.data();
    assert_eq!(
        made["permissions"],
        json!(["users:read", "users:suspend"]),
        "as the catalogue has them"
    );
    let path = format!("{ROLES}/{}", made["id"].as_str().expect("an id"));
    let read = grace.get(&path).await;
    assert_eq!(read.data(), made);
    let tag = read.header("etag").to_owned();
    grace.create(role("billing", &[])).await.assert_error(409, "role_name_taken");
    let support = role("support", &[]);
    grace.update(&path, support).await.assert_error(409, "role_name_taken");

    let changed = grace.update(&path, role("refunds", &["users:read"])).await.data();
    assert_eq!(
        (&changed["name"], &changed["permissions"]),
        (&json!("refunds"), &json!(["users:read"]))
    );
    let lost = app.request(Method::PUT, &path).bearer(&grace.token).header("if-match", &tag);
    lost.json(role("lost", &[])).send().await.assert_error(412, "precondition_failed");
    let lost = app.request(Method::DELETE, &path).bearer(&grace.token).header("if-match", &tag);
    lost.send().await.assert_error(412, "precondition_failed");
    assert_eq!(grace.get(&path).await.data(), changed);

    assert_eq!(grace.delete(&path).await.status, 204);
    grace.get(&path).await.assert_error(404, "not_found");
    grace.delete(&path).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn what_a_role_may_not_be_is_named() {
    let app = TestApp::start().await;
    let grace = Caller { app: &app, token: app.admin_token().await };
    for (body, fault) in [
        (role("Billing", &[]), ("name", "pattern")),
        (role("users:read", &[]), ("name", "pattern")),
        (role(&"a".repeat(51), &[]), ("name", "too_long")),
        (role("billing", &["users:fly"]), ("permissions[0]", "enum")),
        (json!({"name": "billing", "permissions": []}), ("description", "required")),
    ] {
        let faults = grace.create(body.clone()).await.faults();
        assert_eq!(faults, [(fault.0.to_owned(), fault.1.to_owned())], "{body}");
    }
    let list = grace.get("/api/v1/backoffice/permissions").await.data();
    let named =
        list["items"].as_array().expect("a list").iter().find(|p| p["name"] == "users:read");
    assert!(named.expect("listed")["description"].as_str().expect("text").starts_with("Find"));
}

#[tokio::test]
async fn shipped_roles_stay_and_a_role_in_use_is_not_deleted() {
    let app = TestApp::start().await;
    let grace = Caller { app: &app, token: app.admin_token().await };
    for name in ["super-admin", "admin", "support", "moderator", "auditor"] {
        let path = grace.shipped(name).await;
        assert_ne!(grace.get(&path).await.data()["permissions"], json!([]), "{name}");
        grace.update(&path, role("mine", &[])).await.assert_error(409, "role_shipped");
        grace.delete(&path).await.assert_error(409, "role_shipped");
    }
    let path = grace.created("billing", &["users:read"]).await;
    app.add_staff(ADA, &["billing"]).await;
    grace.delete(&path).await.assert_error(409, "role_in_use");
    app.set_roles(ADA, &[]).await;
    assert_eq!(grace.delete(&path).await.status, 204);
}

#[tokio::test]
async fn several_roles_give_together_what_each_gives() {
    let app = TestApp::start().await;
    let grace = Caller { app: &app, token: app.admin_token().await };
    grace.created("suspenders", &["users:suspend", "logs:read"]).await;
    let token = app.staff_token(ADA, &["suspenders", "moderator"]).await;
    let me = app.get("/api/v1/backoffice/auth/me").bearer(&token).send().await.data();
    assert_eq!(me["is_super_admin"], false);
    let moderator = [
        "users:read",
        "users:suspend",
        "posts:read",
        "posts:moderate",
        "dashboard:read",
        "files:read",
        "files:delete",
    ];
    let expected = [&moderator[..], &["logs:read"]].concat();
    assert_eq!(me["permissions"], json!(expected));
    let roles = me["roles"].as_array().expect("a list");
    let names: Vec<_> = roles.iter().map(|role| role["name"].clone()).collect();
    assert_eq!(names, ["moderator", "suspenders"]);
    // A permission that a later version took away gives nothing, and harms nothing.
    let client = crate::support::cluster::connect(app.database_url()).await;
    let sql = "UPDATE roles SET permissions = '{users:fly}' WHERE name = 'suspenders'";
    client.execute(sql, &[]).await.expect("changed");
    app.clock.advance(chrono::TimeDelta::seconds(1));
    let me = app.get("/api/v1/backoffice/auth/me").bearer(&token).send().await.data();
    assert_eq!(me["permissions"], json!(moderator));
}

#[tokio::test]
async fn what_a_role_gives_counts_at_once_where_it_was_changed_whatever_the_bus_hears() {
    let db = TestDb::create().await;
    let app = TestApp::builder().database_url(&db.url).start().await;
    let grace = Caller { app: &app, token: app.admin_token().await };
    let path = grace.created("readers", &["users:read"]).await;
    let ada = Caller { app: &app, token: app.staff_token(ADA, &["readers"]).await };
    let _deaf = Frozen::listeners(&db.url).await;
    assert_eq!(ada.get("/api/v1/backoffice/users").await.status, 200);
    grace.update(&path, role("readers", &["logs:read"])).await.data();
    assert_eq!(missing(&ada.get("/api/v1/backoffice/users").await), ["users:read"]);
}

#[tokio::test]
async fn c17_nobody_puts_into_a_role_what_they_may_not_do() {
    let app = TestApp::start().await;
    let grace = Caller { app: &app, token: app.admin_token().await };
    grace.created("editors", &["roles:read", "roles:write", "users:read"]).await;
    let ada = Caller { app: &app, token: app.staff_token(ADA, &["editors"]).await };
    let refused = ada.create(role("mine", &["users:read", "users:delete", "audit:read"])).await;
    assert_eq!(missing(&refused), ["users:delete", "audit:read"]);
    let mine = ada.created("mine", &["users:read"]).await;
    let refused = ada.update(&mine, role("mine", &["users:read", "logs:read"])).await;
    assert_eq!(missing(&refused), ["logs:read"]);

    // What is in a role already may stay there, and be taken out.
    let theirs = grace.created("theirs", &["users:read", "logs:read", "jobs:read"]).await;
    let kept = ["users:read", "logs:read", "roles:read"];
    ada.update(&theirs, role("theirs", &kept)).await.data();
    let back = ada.update(&theirs, role("theirs", &["users:read", "jobs:read"])).await;
    assert_eq!(missing(&back), ["jobs:read"]);
    // Without `roles:write` nothing at all.
    let bob = Caller { app: &app, token: app.staff_token("bob@example.com", &["auditor"]).await };
    assert_eq!(missing(&bob.create(role("more", &[])).await), ["roles:write"]);
    assert_eq!(missing(&bob.delete(&theirs).await), ["roles:write"]);
}

#[tokio::test]
async fn c17_nobody_changes_a_role_of_their_own() {
    let app = TestApp::start().await;
    let grace = Caller { app: &app, token: app.admin_token().await };
    let permissions = ["roles:read", "roles:write", "users:read"];
    let path = grace.created("editors", &permissions).await;
    let ada = Caller { app: &app, token: app.staff_token(ADA, &["editors", "moderator"]).await };
    for changed in [&["roles:read", "roles:write"] as &[&str], &["users:suspend"]] {
        ada.update(&path, role("editors", changed)).await.assert_error(403, "own_role");
    }
    ada.update(&path, role("writers", &permissions)).await.data();
    ada.delete(&path).await.assert_error(409, "role_in_use");
}
