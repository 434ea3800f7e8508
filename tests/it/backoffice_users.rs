//! Users as staff see them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{TestApp, app::PASSWORD, http::Answer};

const USERS: &str = "/api/v1/backoffice/users";

async fn register(app: &mut TestApp, names: &[&str]) {
    for name in names {
        app.verified_user(&format!("{name}@example.com")).await;
    }
}

async fn list(app: &TestApp, token: &str, query: &str) -> Answer {
    app.get(&format!("{USERS}{query}")).bearer(token).send().await
}

fn emails(data: &Value) -> Vec<String> {
    let items = data["items"].as_array().expect("a list");
    let name = |item: &Value| item["email"].as_str().expect("text").replace("@example.com", "");
    items.iter().map(name).collect()
}

#[tokio::test]
async fn lists_are_paged_searched_filtered_and_sorted() {
    let mut app = TestApp::start().await;
    let token = app.admin_token().await;
    register(&mut app, &["carol", "alice", "bob", "al_ice"]).await;

    let data = list(&app, &token, "").await.data();
    assert_eq!(emails(&data), ["al_ice", "bob", "alice", "carol"], "newest first");
    assert_eq!((&data["total"], &data["per_page"]), (&json!(4), &json!(20)));
    assert!(!data.to_string().contains("password"), "{data}");

    let data = list(&app, &token, "?sort=email&per_page=3&page=2").await.data();
    assert_eq!(emails(&data), ["carol"]);
    let page =
        ["total", "per_page", "current_page", "last_page", "has_more"].map(|k| data[k].clone());
    assert_eq!(page, [json!(4), json!(3), json!(2), json!(2), json!(false)]);
    assert_eq!(list(&app, &token, "?per_page=3").await.data()["has_more"], true);

    let past = list(&app, &token, "?page=9").await.data();
    assert_eq!((emails(&past).len(), &past["total"]), (0, &json!(4)));
    let last = list(&app, &token, "?page=4294967295&per_page=100").await.data();
    assert!(emails(&last).is_empty());

    let sorted = list(&app, &token, "?sort=-email").await.data();
    assert_eq!(emails(&sorted), ["carol", "bob", "alice", "al_ice"]);
    let sorted = list(&app, &token, "?sort=name,-email").await.data();
    assert_eq!(emails(&sorted), ["carol", "bob", "alice", "al_ice"]);
    let found = list(&app, &token, "?q=ALICE").await.data();
    assert_eq!(emails(&found), ["alice"]);
    let found = list(&app, &token, "?q=l_i").await.data();
    assert_eq!(emails(&found), ["al_ice"], "nothing in a search is a wildcard");
    assert_eq!(list(&app, &token, "?q=ada").await.data()["total"], 4, "by name");
    let umlaut = json!({"email": "umlaut@example.com", "password": PASSWORD, "name": "Änne"});
    app.post("/api/v1/auth/register", umlaut).send().await.assert_done();
    app.code_for("umlaut@example.com").await;
    assert_eq!(emails(&list(&app, &token, "?q=%C3%A4NNE").await.data()), ["umlaut"]);
    assert_eq!(list(&app, &token, "?status=suspended").await.data()["total"], 0);
    assert_eq!(list(&app, &token, "?status=active").await.data()["total"], 5);
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let app = TestApp::start().await;
    let token = app.admin_token().await;
    let faults = list(&app, &token, "?page=0&per_page=101&status=gone&sort=x").await.faults();
    let expected =
        [("page", "too_small"), ("per_page", "too_large"), ("sort", "pattern"), ("status", "enum")];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
    let faults = list(&app, &token, "?page=4294967296&per_page=-1").await.faults();
    let expected = [("page", "too_large"), ("per_page", "too_small")];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
    let faults = list(&app, &token, "?page=one").await.faults();
    assert_eq!(faults, [("page".to_owned(), "type".to_owned())]);
    for (sort, rule) in [
        ("password_hash", "pattern"),
        ("", "pattern"),
        ("email;drop", "pattern"),
        ("email,", "pattern"),
        ("email,-email", "sort"),
    ] {
        let faults = list(&app, &token, &format!("?sort={sort}")).await.faults();
        assert_eq!(faults, [("sort".to_owned(), rule.to_owned())], "{sort}");
    }
    let faults = list(&app, &token, "?q=a%00b").await.faults();
    assert_eq!(faults, [("q".to_owned(), "invalid_character".to_owned())]);
    for query in ["?page=0", "?q=%00"] {
        list(&app, "x", query).await.assert_error(401, "invalid_token");
    }
}

#[tokio::test]
async fn c04_a_suspended_users_next_request_is_refused() {
    let mut app = TestApp::start().await;
    let token = app.admin_token().await;
    let user_token = app.user_token("ada@example.com").await;
    let id = app.get("/api/v1/users/me").bearer(&user_token).send().await.data()["id"].clone();
    let id = id.as_str().expect("an id").to_owned();
    let act = async |what: &str, reason: &str| {
        let path = format!("{USERS}/{id}/{what}");
        app.post(&path, json!({"reason": reason})).bearer(&token).send().await
    };

    act("reactivate", "why not").await.assert_error(409, "user_not_suspended");
    let user = act("suspend", "Sends spam.").await.data();
    assert_eq!(
        (&user["status"], &user["status_reason"]),
        (&json!("suspended"), &json!("Sends spam."))
    );
    assert!(user["status_changed_at"].is_string() && user["status_changed_by"].is_string());
    assert_eq!(
        act("suspend", "again").await.assert_error(409, "user_already_suspended")["code"],
        1201
    );
    let read = app.get(&format!("{USERS}/{id}")).bearer(&token).send().await.data();
    assert_eq!(read, user);

    let me = app.get("/api/v1/users/me").bearer(&user_token).send().await;
    assert_eq!(me.assert_error(403, "account_suspended")["code"], 1103);
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    let login = app.post("/api/v1/auth/login", credentials.clone()).send().await;
    login.assert_error(403, "account_suspended");
    // Who doesn't know the password learns nothing.
    let wrong = json!({"email": "ada@example.com", "password": "not the password"});
    let wrong = app.post("/api/v1/auth/login", wrong).send().await;
    wrong.assert_error(401, "invalid_credentials");

    let user = act("reactivate", "Has promised.").await.data();
    assert_eq!(
        (&user["status"], &user["status_reason"]),
        (&json!("active"), &json!("Has promised."))
    );
    // Sessions from before stay ended.
    let me = app.get("/api/v1/users/me").bearer(&user_token).send().await;
    me.assert_error(401, "session_ended");
    app.post("/api/v1/auth/login", credentials).send().await.data();
}

#[tokio::test]
async fn of_many_who_suspend_one_does() {
    let mut app = TestApp::start().await;
    let token = app.admin_token().await;
    register(&mut app, &["ada"]).await;
    let data = list(&app, &token, "").await.data();
    let id = data["items"][0]["id"].as_str().expect("an id");
    let path = format!("{USERS}/{id}/suspend");
    let suspend = || app.post(&path, json!({"reason": "race"})).bearer(&token).send();
    let all = join_all((0..10).map(|_| suspend())).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(all.iter().filter(|answer| answer.status == 409).count(), 9);
}

#[tokio::test]
async fn what_is_not_there_is_404_and_a_reason_is_needed() {
    let app = TestApp::start().await;
    let token = app.admin_token().await;
    let nobody = "01975b2e-7c40-7000-8000-000000000001";
    for id in [nobody, "not-an-id", "%00"] {
        let answer = app.get(&format!("{USERS}/{id}")).bearer(&token).send().await;
        answer.assert_error(404, "not_found");
    }
    for what in ["suspend", "reactivate"] {
        let path = format!("{USERS}/{nobody}/{what}");
        let answer = app.post(&path, json!({"reason": "x"})).bearer(&token).send().await;
        answer.assert_error(404, "not_found");
        for (body, rule) in [
            (json!({}), "required"),
            (json!({"reason": " "}), "pattern"),
            (json!({"reason": ""}), "too_short"),
        ] {
            let answer = app.post(&path, body).bearer(&token).send().await;
            assert_eq!(answer.faults(), [("reason".to_owned(), rule.to_owned())]);
        }
    }
}
