//! Documentation pages, exports, navigation and the outbox.

use std::collections::BTreeSet;

use ring::digest;

use crate::{
    staff_pages::staff_cookie,
    support::{TestApp, app::PASSWORD},
};

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
            let own = format!("data-document=\"/{name}/openapi.json\"");
            assert!(page.text.contains(&own), "{}", page.text);
        }
        assert!(!document.text.contains(other), "nothing of the other surface");
    }
}

/// Every page, and whether it has scripts.
const PAGES: [(&str, bool); 8] = [
    ("/", false),
    ("/outbox", false),
    ("/backoffice/sign-in", false),
    ("/client/docs", true),
    ("/client/redoc", true),
    ("/backoffice/docs", true),
    ("/backoffice/redoc", true),
    ("/backoffice/jobs", true),
];

/// An application with all of them, and a cookie to see them.
async fn app_with_all_pages() -> (TestApp, String) {
    let app = TestApp::builder().setting("TWOFOLD_DOCS__STAFF_SIGN_IN", "true").start().await;
    let cookie = staff_cookie(&app).await;
    (app, cookie)
}

/// The values of these attributes.
fn attributes<'a>(html: &'a str, names: &[&str]) -> Vec<&'a str> {
    let marks = names.iter().map(|name| format!(" {name}=\""));
    let rests = marks.flat_map(|mark| html.split(&mark).skip(1).collect::<Vec<_>>());
    rests.filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn pages_run_no_script_but_their_own_files_and_load_nothing_from_elsewhere() {
    let (app, cookie) = app_with_all_pages().await;
    for (path, has_scripts) in PAGES {
        let page = app.get(path).header("cookie", &cookie).send().await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");

        let policy = page.header("content-security-policy");
        let basics =
            "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; ";
        assert!(policy.starts_with(basics), "{path}: {policy}");
        let scripts = policy.split("; ").find(|directive| directive.starts_with("script-src"));
        assert_eq!(scripts, has_scripts.then_some("script-src 'self'"), "{path}");
        for word in ["unsafe", "http", "*"] {
            assert!(!policy.contains(word), "{path}: {policy}");
        }

        for inline in ["<style", " style=", " onload=", " onclick=", "<script>"] {
            assert!(!page.text.contains(inline), "{path} has {inline}");
        }
        let html = page.text.replace("&#x2f;", "/");
        for address in attributes(&html, &["src", "href", "action", "data-document"]) {
            let is_local = address.starts_with('/') && !address.starts_with("//");
            assert!(is_local, "{path} names {address}");
        }
    }
}

#[tokio::test]
async fn assets_have_their_hash_in_their_names_and_are_kept_for_ever() {
    let (app, cookie) = app_with_all_pages().await;
    let mut found = BTreeSet::new();
    for (path, _) in PAGES {
        let page = app.get(path).header("cookie", &cookie).send().await.text;
        let named = attributes(&page, &["src", "href"]).into_iter();
        found.extend(named.filter(|address| address.starts_with("/assets/")).map(str::to_owned));
    }
    assert_eq!(found.len(), 9, "{found:?}");
    for path in &found {
        let asset = app.get(path).send().await;
        assert_eq!(asset.status, 200, "{path}");
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
        assert_eq!(asset.header("x-content-type-options"), "nosniff", "{path}");
        let (name, kind) = path.rsplit_once('.').expect("an extension");
        let expected = match kind {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => panic!("{path}"),
        };
        assert_eq!(asset.header("content-type"), expected, "{path}");
        let digest = digest::digest(&digest::SHA256, asset.text.as_bytes());
        let first = digest.as_ref().first_chunk().expect("long enough");
        let hash = format!(".{:016x}", u64::from_be_bytes(*first));
        assert!(name.ends_with(&hash), "{path}: {hash}");
        for host in ["fonts.googleapis", "cdn."] {
            assert!(!asset.text.contains(host), "{path} names {host}");
        }
    }
    app.get("/assets/pages.css").send().await.assert_error(404, "route_not_found");
}

#[tokio::test]
async fn the_navigation_leads_to_pages_that_exist() {
    let app = TestApp::start().await;
    let page = app.get("/").send().await;
    let links = attributes(&page.text, &["href"]);
    assert!(links.len() >= 12, "{links:?}");
    for link in links {
        // What is for staff leads to the sign-in.
        let answer = app.get(link).header("accept", "text/html").send().await;
        assert_eq!(answer.status, 200, "{link}");
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
    let body = serde_json::json!({"email": "o'hara&co@example.com", "password": PASSWORD});
    app.post("/api/v1/auth/register", body).send().await.assert_done();
    app.code_for("o'hara&co@example.com").await;
    let list = app.get("/outbox").send().await.text;
    assert!(list.contains("o&#x27;hara&amp;co@example.com"), "{list}");
    let link =
        list.split("href=\"/outbox/").nth(1).and_then(|r| r.split('"').next()).expect("a link");
    let mail = app.get(&format!("/outbox/{link}")).send().await.text;
    assert!(mail.contains("your code is"), "{mail}");
    let html = app.get(&format!("/outbox/{link}/html")).send().await;
    assert!(html.text.contains("<p>your code is:</p>"), "{}", html.text);
    assert!(html.header("content-security-policy").contains("default-src 'none'"));
    assert!(html.header("content-security-policy").ends_with("sandbox"));
    for id in ["01975b2e-7c40-7000-8000-000000000001", "..%2F..%2Fsecrets%2Fclient"] {
        app.get(&format!("/outbox/{id}")).send().await.assert_error(404, "not_found");
        app.get(&format!("/outbox/{id}/html")).send().await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn documents_can_be_turned_off() {
    let settings = TestApp::builder().setting("TWOFOLD_DOCS__ENABLED", "false");
    let app = settings.setting("TWOFOLD_DOCS__STAFF_SIGN_IN", "true").start().await;
    for path in [
        "/",
        "/docs",
        "/client/docs",
        "/client/openapi.json",
        "/backoffice/docs",
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
    }
}
