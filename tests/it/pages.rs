//! Documentation pages, exports, navigation and the outbox.

use crate::support::TestApp;

#[tokio::test]
async fn both_surfaces_have_their_pages_and_documents() {
    let app = TestApp::start().await;
    for (name, other) in [("client", "list_users"), ("backoffice", "register_user")] {
        let committed = std::fs::read_to_string(format!(
            "{}/docs/openapi/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        ))
        .expect("committed");
        let document = app.get(&format!("/{name}/openapi.json")).send().await;
        assert_eq!(document.status, 200);
        assert!(document.text == committed, "the committed document");
        let export = app.get(&format!("/api-docs/{name}.json")).send().await;
        assert!(export.text == committed, "the committed document");
        let disposition = format!("attachment; filename=\"{name}.json\"");
        assert_eq!(export.header("content-disposition"), disposition);
        for page in ["docs", "redoc"] {
            let page = app.get(&format!("/{name}/{page}")).send().await;
            assert_eq!(page.status, 200);
            assert!(page.header("content-type").starts_with("text/html"));
            assert!(page.header("content-security-policy").contains("default-src 'none'"));
            assert!(page.text.contains("\"additionalProperties\": false"), "the finished document");
            assert!(!page.text.contains(other), "nothing of the other surface");
            assert!(!page.text.contains("<link href=\"http"), "nothing from elsewhere");
            assert!(!page.text.contains("<script src=\"http"), "nothing from elsewhere");
        }
    }
}

#[tokio::test]
async fn the_navigation_leads_to_pages_that_exist() {
    let app = TestApp::start().await;
    let page = app.get("/").send().await;
    let links: Vec<&str> =
        page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 12, "{links:?}");
    for link in links {
        assert_eq!(app.get(link).send().await.status, 200, "{link}");
    }
    for (from, to) in
        [("/docs", "Client API"), ("/redoc", "Client API"), ("/openapi.json", "register_user")]
    {
        // The client follows the redirection.
        assert!(app.get(from).send().await.text.contains(to), "{from}");
    }
}

#[tokio::test]
async fn the_outbox_shows_mails_and_escapes_them() {
    let mut app = TestApp::start().await;
    assert!(app.get("/outbox").send().await.text.contains("No mail yet"));
    let address = "a<b@example.com";
    let answer = app.post(
        "/api/v1/auth/register",
        serde_json::json!({"email": address, "password": "correct horse battery"}),
    );
    answer.send().await.faults();
    app.verified_user("o'hara&co@example.com").await;
    let list = app.get("/outbox").send().await.text;
    assert!(list.contains("o&#x27;hara&amp;co@example.com"), "{list}");
    let link =
        list.split("href=\"/outbox/").nth(1).and_then(|r| r.split('"').next()).expect("a link");
    let mail = app.get(&format!("/outbox/{link}")).send().await.text;
    assert!(mail.contains("your code is"), "{mail}");
    for id in ["01975b2e-7c40-7000-8000-000000000001", "..%2F..%2Fsecrets%2Fclient"] {
        app.get(&format!("/outbox/{id}")).send().await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn documents_can_be_turned_off() {
    let app = TestApp::builder().setting("TWOFOLD_DOCS__ENABLED", "false").start().await;
    for path in [
        "/",
        "/docs",
        "/client/docs",
        "/client/openapi.json",
        "/api-docs/backoffice.json",
        "/outbox",
    ] {
        app.get(path).send().await.assert_error(404, "route_not_found");
    }
    app.get("/api/v1/config/health").send().await.data();
}

#[tokio::test]
async fn the_documents_name_the_server_that_the_settings_name() {
    let url = "https://api.shop.test";
    let app = TestApp::builder().setting("TWOFOLD_SERVER__PUBLIC_URL", url).start().await;
    for name in ["client", "backoffice"] {
        let document = app.get(&format!("/{name}/openapi.json")).send().await.json();
        assert_eq!(document["servers"], serde_json::json!([{"url": url}]), "{name}");
        let page = app.get(&format!("/{name}/docs")).send().await.text;
        assert!(page.contains(url), "{name}");
    }
}
