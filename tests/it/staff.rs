//! Staff as other staff see and change them.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::{
    db::Origin,
    services::{Code, Expected, permissions::Permissions, staff_accounts},
};

use crate::support::{
    TestApp, TestDb,
    app::{ADMIN, PASSWORD},
    http::Answer,
    rounds,
    statements::Statements,
};

const ADMINS: &str = "/api/v1/backoffice/admins";
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

async fn call(
    app: &TestApp,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let request = app.request(method, path).bearer(token);
    match body {
        Some(body) => request.json(body).send().await,
        None => request.send().await,
    }
}

/// The path of a member of the staff.
async fn path_of(app: &TestApp, token: &str, email: &str) -> String {
    let found = call(app, token, Method::GET, &format!("{ADMINS}?q={email}"), None).await.data();
    format!("{ADMINS}/{}", found["items"][0]["id"].as_str().expect("an id"))
}

/// The identifiers of roles.
async fn ids(app: &TestApp, token: &str, names: &[&str]) -> Value {
    let path = "/api/v1/backoffice/roles?per_page=100";
    let all = call(app, token, Method::GET, path, None).await.data();
    let all = all["items"].as_array().expect("a list");
    let id =
        |name: &&str| all.iter().find(|role| role["name"] == *name).expect("there")["id"].clone();
    names.iter().map(id).collect()
}

fn names(member: &Value) -> Vec<&str> {
    let roles = member["roles"].as_array().expect("a list");
    roles.iter().map(|role| role["name"].as_str().expect("text")).collect()
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.get("/api/v1/backoffice/auth/me").bearer(token).send().await
}

#[tokio::test]
async fn staff_are_listed_read_and_changed() {
    let app = TestApp::start().await;
    let grace = app.admin_token().await;
    let ada = app.staff_token(ADA, &["support"]).await;
    app.add_staff(BOB, &["auditor", "moderator"]).await;
    let list = async |query: &str| {
        let found = call(&app, &grace, Method::GET, &format!("{ADMINS}{query}"), None).await.data();
        let items = found["items"].as_array().expect("a list").clone();
        let emails = items.iter().map(|one| one["email"].as_str().expect("text").to_owned());
        emails.collect::<Vec<_>>()
    };
    assert_eq!(list("?sort=email").await, [ADA, BOB, ADMIN]);
    assert_eq!(list("?role=moderator").await, [BOB]);
    assert_eq!(list("?role=nobody").await, [""; 0]);
    assert_eq!(list("?q=ADA").await, [ADA]);
    assert_eq!(list("?status=deactivated").await, [""; 0]);

    let path = path_of(&app, &grace, ADA).await;
    let read = call(&app, &grace, Method::GET, &path, None).await;
    assert_eq!(names(&read.data()), ["support"]);
    let body =
        json!({"name": "Countess", "role_ids": ids(&app, &grace, &["auditor", "support"]).await});
    let changed = call(&app, &grace, Method::PATCH, &path, Some(body.clone())).await.data();
    assert_eq!(
        (&changed["name"], names(&changed)),
        (&json!("Countess"), vec!["auditor", "support"])
    );
    // It is recorded with what was before.
    let logs = "/api/v1/backoffice/audit-logs?action=admin.updated";
    let logged = call(&app, &grace, Method::GET, logs, None).await.data()["items"][0].clone();
    assert_eq!(logged["before"], json!({"name": "Grace", "roles": ["support"]}), "{logged}");
    assert_eq!(logged["after"], json!({"name": "Countess", "roles": ["auditor", "support"]}));
    // The change counts at once.
    let permissions = me(&app, &ada).await.data()["permissions"].clone();
    assert!(permissions.as_array().expect("a list").contains(&json!("audit:export")));
    let lost =
        app.request(Method::PATCH, &path).bearer(&grace).header("if-match", read.header("etag"));
    lost.json(body).send().await.assert_error(412, "precondition_failed");
    let unknown = json!({"role_ids": ["01975b2e-7c40-7000-8000-000000000001"]});
    let faults = call(&app, &grace, Method::PATCH, &path, Some(unknown)).await.faults();
    assert_eq!(faults, [("role_ids[0]".to_owned(), "unknown_role".to_owned())]);
    let unknown = format!("{ADMINS}/01975b2e-7c40-7000-8000-000000000001");
    call(&app, &grace, Method::GET, &unknown, None).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn c04_who_is_deactivated_or_deleted_is_out_at_once() {
    let app = TestApp::start().await;
    let grace = app.admin_token().await;
    let ada = app.staff_token(ADA, &["support"]).await;
    let path = path_of(&app, &grace, ADA).await;
    let (off, on) = (format!("{path}/deactivate"), format!("{path}/reactivate"));
    let call = async |method, path: &str| call(&app, &grace, method, path, None).await;
    me(&app, &ada).await.data();
    assert_eq!(call(Method::POST, &off).await.data()["status"], "deactivated");
    me(&app, &ada).await.assert_error(403, "account_suspended");
    call(Method::POST, &off).await.assert_error(409, "admin_already_deactivated");
    let login = async |password: &str| {
        let body = json!({"email": ADA, "password": password});
        app.post("/api/v1/backoffice/auth/login", body).send().await
    };
    login(PASSWORD).await.assert_error(403, "account_suspended");
    login("something else").await.assert_error(401, "invalid_credentials");

    assert_eq!(call(Method::POST, &on).await.data()["status"], "active");
    call(Method::POST, &on).await.assert_error(409, "admin_not_deactivated");
    me(&app, &ada).await.assert_error(401, "session_ended");
    let ada = app.staff_login(ADA).await["access_token"].as_str().expect("a token").to_owned();
    me(&app, &ada).await.data();
    assert_eq!(call(Method::DELETE, &path).await.status, 204);
    me(&app, &ada).await.assert_error(401, "session_ended");
    login(PASSWORD).await.assert_error(401, "invalid_credentials");
    call(Method::GET, &path).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn c17_nobody_has_power_over_themselves_or_who_may_do_more() {
    let app = TestApp::start().await;
    let grace = app.admin_token().await;
    let ada = app.staff_token(ADA, &["admin"]).await;
    app.add_staff(BOB, &["support"]).await;
    let own = path_of(&app, &grace, ADMIN).await;
    let roles = async |names: &[&str]| Some(json!({"role_ids": ids(&app, &grace, names).await}));
    // Oneself: the name alone.
    for names in [&["super-admin", "admin"] as &[&str], &[]] {
        let refused = call(&app, &grace, Method::PATCH, &own, roles(names).await).await;
        refused.assert_error(403, "own_role");
    }
    let same = json!({"name": "Hopper", "role_ids": ids(&app, &grace, &["super-admin"]).await});
    call(&app, &grace, Method::PATCH, &own, Some(same)).await.data();
    for (method, path) in [
        (Method::POST, format!("{own}/deactivate")),
        (Method::POST, format!("{own}/reactivate")),
        (Method::DELETE, own.clone()),
    ] {
        call(&app, &grace, method, &path, None).await.assert_error(403, "own_account");
    }
    // Who may do more: nothing.
    for (method, path, body) in [
        (Method::PATCH, own.clone(), Some(json!({"name": "Nobody"}))),
        (Method::PATCH, own.clone(), roles(&[]).await),
        (Method::POST, format!("{own}/deactivate"), None),
    ] {
        let refused = call(&app, &ada, method, &path, body).await;
        refused.assert_error(403, "permission_denied");
    }
    // What one doesn't have one doesn't give.
    let bob = path_of(&app, &grace, BOB).await;
    let more = roles(&["super-admin", "support"]).await;
    call(&app, &ada, Method::PATCH, &bob, more).await.assert_error(403, "permission_denied");
    let given = call(&app, &ada, Method::PATCH, &bob, roles(&["auditor"]).await).await.data();
    assert_eq!(names(&given), ["auditor"]);
}

/// Two super-admins who do away with each other at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn c17_one_super_admin_stays_whatever_happens_at_once() {
    let app = TestApp::start().await;
    let grace = app.admin_token().await;
    app.add_staff(ADA, &["super-admin"]).await;
    let paths = [path_of(&app, &grace, ADMIN).await, path_of(&app, &grace, ADA).await];
    let none = Some(json!({"role_ids": []}));
    for round in 0..rounds(6, 60) {
        let mut tokens = Vec::new();
        for email in [ADMIN, ADA] {
            app.set_roles(email, &["super-admin"]).await;
            let login = app.staff_login(email).await;
            tokens.push(login["access_token"].as_str().expect("a token").to_owned());
        }
        let attempts = [0, 1].map(|who| {
            let (app, token, path) = (&app, &tokens[who], &paths[1 - who]);
            let (deactivate, none) = (format!("{path}/deactivate"), none.clone());
            async move {
                if (round + who) % 2 == 0 {
                    call(app, token, Method::PATCH, path, none).await
                } else {
                    call(app, token, Method::POST, &deactivate, None).await
                }
            }
        });
        let answers = join_all(attempts).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(done <= 1, "round {round}: {answers:?}");
        let client = crate::support::cluster::connect(app.database_url()).await;
        let sql = "SELECT count(*) FROM admins JOIN admin_roles ON admin_id = admins.id
                   JOIN roles ON role_id = roles.id
                   WHERE roles.name = 'super-admin' AND status = 'active'";
        let left: i64 = client.query_one(sql, &[]).await.expect("counted").get(0);
        assert!(left >= 1, "round {round}: nobody is left");
        client.execute("UPDATE admins SET status = 'active'", &[]).await.expect("undone");
    }
    // Nor does who isn't staff at all, such as the command line.
    let origin = Origin::system("test");
    let id = paths[1].rsplit('/').next().expect("an id").parse().expect("an id");
    app.set_roles(ADMIN, &[]).await;
    app.set_roles(ADA, &["super-admin"]).await;
    let all = Permissions::EVERYTHING;
    let last = staff_accounts::delete(&app.core, &origin, all, id, Expected::anything()).await;
    assert_eq!(last.expect_err("the last one stays").code, Code::LastSuperAdmin);
}

#[tokio::test]
async fn a_page_of_staff_takes_two_statements_and_one_by_cursor() {
    let statements = Statements::watch();
    let db = TestDb::create().await;
    let app = Statements::app().database_url(&db.url).start().await;
    let token = app.admin_token().await;
    for number in 0..4 {
        app.add_staff(&format!("staff{number}@example.com"), &["support", "auditor"]).await;
    }
    let list = async |path: &str| {
        statements.of(async { call(&app, &token, Method::GET, path, None).await.data() }).await
    };
    for path in [ADMINS, "/api/v1/backoffice/roles"] {
        list(path).await;
        let (count, first) = list(&format!("{path}?per_page=2")).await;
        assert_eq!(count, 2, "{path}");
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let (count, second) = list(&format!("{path}?per_page=2&cursor={cursor}")).await;
        assert_eq!(count, 1, "{path}");
        assert_ne!(first["items"], second["items"]);
    }
}
