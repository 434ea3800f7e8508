//! Invitations to the staff.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, app::PASSWORD, http::Answer};

const INVITATIONS: &str = "/api/v1/backoffice/invitations";
const ACCEPT: &str = "/api/v1/backoffice/invitations/accept";
const ADA: &str = "ada@example.com";

async fn app() -> (TestApp, String) {
    let app = TestApp::builder()
        .setting("TWOFOLD_SERVER__PUBLIC_URL", "https://shop.test/")
        .start()
        .await;
    let token = app.admin_token().await;
    (app, token)
}

/// An invitation with roles.
async fn body(app: &TestApp, token: &str, email: &str, roles: &[&str]) -> Value {
    let all = app.get("/api/v1/backoffice/roles").bearer(token).send().await.data();
    let all = all["items"].as_array().expect("a list").clone();
    let id =
        |name: &&str| all.iter().find(|role| role["name"] == *name).expect("there")["id"].clone();
    json!({"email": email, "name": "Ada", "role_ids": roles.iter().map(id).collect::<Vec<_>>()})
}

/// The token in the link of the next mail.
async fn mailed(app: &mut TestApp, email: &str) -> String {
    let mail = app.mail_to(email).await;
    assert_eq!(mail.subject, "You are invited to the staff of Twofold");
    let link = mail.text.split_whitespace().find(|word| word.contains("token=")).expect("a link");
    let token = link.strip_prefix("https://shop.test/backoffice/invitation?token=");
    token.expect("of the public address").to_owned()
}

async fn accept(app: &TestApp, token: &str, password: &str) -> Answer {
    app.post(ACCEPT, json!({"token": token, "password": password})).send().await
}

#[tokio::test]
async fn who_is_invited_becomes_staff_with_the_roles_of_the_invitation() {
    let (mut app, grace) = app().await;
    let new = body(&app, &grace, ADA, &["support", "auditor"]).await;
    // Where the request says that it was sent to makes no link (condition 6).
    let invite = app.post(INVITATIONS, new.clone()).bearer(&grace);
    let invited = invite.header("x-forwarded-host", "evil.test").send().await.data();
    assert_eq!(
        (&invited["status"], &invited["roles"][0]["name"]),
        (&json!("pending"), &json!("auditor"))
    );
    let again = app.post(INVITATIONS, new).bearer(&grace).send().await;
    again.assert_error(409, "invitation_pending");
    let token = mailed(&mut app, ADA).await;
    let weak = accept(&app, &token, "password1234").await.faults();
    assert_eq!(weak, [("password".to_owned(), "common".to_owned())]);
    accept(&app, &token, PASSWORD).await.assert_done();

    let session = app.staff_login(ADA).await["access_token"].as_str().expect("a token").to_owned();
    let me = app.get("/api/v1/backoffice/auth/me").bearer(&session).send().await.data();
    let roles: Vec<_> =
        me["roles"].as_array().expect("a list").iter().map(|r| r["name"].clone()).collect();
    assert_eq!(roles, ["auditor", "support"]);
    let path = format!("{INVITATIONS}/{}", invited["id"].as_str().expect("an id"));
    let read = app.get(&path).bearer(&grace).send().await.data();
    assert_eq!(read["status"], "accepted");
    let list = async |query: &str| {
        let found = app.get(&format!("{INVITATIONS}{query}")).bearer(&grace).send().await.data();
        found["total"].clone()
    };
    assert_eq!(list("?status=accepted&q=ada").await, 1);
    assert_eq!(list("?status=pending").await, 0);
    // The address is staff now, and the invitation history.
    let new = body(&app, &grace, ADA, &[]).await;
    app.post(INVITATIONS, new).bearer(&grace).send().await.assert_error(409, "email_taken");
    let resend = app.request(Method::POST, &format!("{path}/resend")).bearer(&grace);
    resend.send().await.assert_error(409, "invitation_ended");
    let revoke = app.request(Method::DELETE, &path).bearer(&grace);
    revoke.send().await.assert_error(409, "invitation_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn c05_an_invitation_works_once_for_a_time_and_the_last_one_only() {
    let (mut app, grace) = app().await;
    let new = body(&app, &grace, ADA, &["support"]).await;
    let invited = app.post(INVITATIONS, new).bearer(&grace).send().await.data();
    let path = format!("{INVITATIONS}/{}", invited["id"].as_str().expect("an id"));
    let older = mailed(&mut app, ADA).await;
    let resend = app.request(Method::POST, &format!("{path}/resend")).bearer(&grace);
    resend.send().await.data();
    let token = mailed(&mut app, ADA).await;
    accept(&app, &older, PASSWORD).await.assert_error(422, "invalid_invitation");
    // Nothing in the database is as good as the token.
    let client = crate::support::cluster::connect(app.database_url()).await;
    let hash: Vec<u8> =
        client.query_one("SELECT token_hash FROM invitations", &[]).await.expect("read").get(0);
    let plain = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    assert!(hash != token.as_bytes() && hash != plain.as_ref());

    let all = join_all((0..50).map(|_| accept(&app, &token, PASSWORD))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in all.iter().filter(|answer| answer.status != 200) {
        // Many passwords at once may be too much to hash.
        let is_refused = answer.text.contains("invalid_invitation") || answer.status == 503;
        assert!(is_refused, "{}", answer.text);
    }

    let new = body(&app, &grace, "bob@example.com", &[]).await;
    let bob = app.post(INVITATIONS, new).bearer(&grace).send().await.data();
    let token = mailed(&mut app, "bob@example.com").await;
    app.clock.advance(TimeDelta::hours(168));
    accept(&app, &token, PASSWORD).await.assert_error(422, "invalid_invitation");
    let grace = app.admin_login().await["access_token"].as_str().expect("a token").to_owned();
    let path = format!("{INVITATIONS}/{}", bob["id"].as_str().expect("an id"));
    let resend = app.request(Method::POST, &format!("{path}/resend")).bearer(&grace);
    resend.send().await.data();
    let token = mailed(&mut app, "bob@example.com").await;
    assert_eq!(app.request(Method::DELETE, &path).bearer(&grace).send().await.status, 204);
    accept(&app, &token, PASSWORD).await.assert_error(422, "invalid_invitation");
}

#[tokio::test]
async fn c17_nobody_is_invited_to_do_more_than_who_invites() {
    let (mut app, grace) = app().await;
    let ada = app.staff_token(ADA, &["admin"]).await;
    let new = body(&app, &grace, "bob@example.com", &["super-admin"]).await;
    let refused = app.post(INVITATIONS, new.clone()).bearer(&ada).send().await;
    refused.assert_error(403, "permission_denied");
    let invited = app.post(INVITATIONS, new).bearer(&grace).send().await.data();
    mailed(&mut app, "bob@example.com").await;
    let path = format!("{INVITATIONS}/{}/resend", invited["id"].as_str().expect("an id"));
    let refused = app.request(Method::POST, &path).bearer(&ada).send().await;
    refused.assert_error(403, "permission_denied");
}

#[tokio::test]
async fn the_link_leads_to_a_form() {
    let (mut app, grace) = app().await;
    let new = body(&app, &grace, ADA, &[]).await;
    app.post(INVITATIONS, new).bearer(&grace).send().await.data();
    let token = mailed(&mut app, ADA).await;
    let page = "/backoffice/invitation";
    let shown = app.get(&format!("{page}?token={token}%22%3E")).send().await;
    assert!(shown.status == 200 && shown.text.contains(&format!("value=\"{token}&quot;&gt;\"")));
    let send = async |password: &str, origin: &str| {
        let form = format!("token={token}&password={}", password.replace(' ', "+"));
        let request = app.request(Method::POST, page).header("origin", origin);
        request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await
    };
    assert_eq!(send(PASSWORD, "https://evil.test").await.status, 403);
    let weak = send("short", "https://shop.test").await;
    assert!(weak.status == 422 && weak.text.contains("role=\"alert\""), "{}", weak.text);
    send(PASSWORD, "https://shop.test").await;
    app.staff_login(ADA).await;
    let used = send(PASSWORD, "https://shop.test").await;
    assert!(used.status == 422 && used.text.contains("not valid any more"), "{}", used.text);
}
