//! One's own account.

use serde_json::json;

use crate::support::TestApp;
use reqwest::Method;

const ADA: &str = "ada@example.com";
const ME: &str = "/api/v1/users/me";

#[tokio::test]
async fn an_absent_field_is_left_alone_and_null_clears() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let patch = async |body| app.request(Method::PATCH, ME).bearer(&token).json(body).send().await;

    let before = app.get(ME).bearer(&token).send().await.data();
    assert_eq!(patch(json!({})).await.data()["name"], "Ada");
    let changed = patch(json!({"name": "Countess"})).await.data();
    assert_eq!(changed["name"], "Countess");
    assert!(changed["updated_at"].as_str() > before["updated_at"].as_str());
    let cleared = patch(json!({"name": null})).await.data();
    assert!(cleared.get("name").is_none(), "{cleared}");
    assert_eq!(app.get(ME).bearer(&token).send().await.data(), cleared);
}

#[tokio::test]
async fn nothing_but_the_profile_can_be_changed() {
    let mut app = TestApp::start().await;
    let token = app.user_token(ADA).await;
    let body =
        json!({"name": "", "email": "eve@example.com", "email_verified": true, "status": "x"});
    let answer = app.request(Method::PATCH, ME).bearer(&token).json(body).send().await;
    let faults = answer.faults();
    let expected = [
        ("name", "too_short"),
        ("email", "unknown"),
        ("email_verified", "unknown"),
        ("status", "unknown"),
    ];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
    let user = app.get(ME).bearer(&token).send().await.data();
    assert_eq!((&user["name"], &user["email"]), (&json!("Ada"), &json!(ADA)));
}

#[tokio::test]
async fn a_missing_token_is_told_before_a_bad_body() {
    let app = TestApp::start().await;
    let answer = app.request(Method::PATCH, ME).body("{").send().await;
    answer.assert_error(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}
