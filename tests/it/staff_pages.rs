//! The staff sign-in of pages, and what its cookie opens.

use chrono::TimeDelta;
use reqwest::{Method, redirect};
use serde_json::json;
use twofold::db::Origin;
use twofold::services::staff;

use crate::support::{
    TestApp, TestDb,
    app::{ADMIN, PASSWORD},
    cluster::connect,
    http::{Answer, Request},
};

/// Everything of the backoffice that is for staff only.
const GUARDED: [&str; 4] = [
    "/backoffice/docs",
    "/backoffice/redoc",
    "/backoffice/openapi.json",
    "/api-docs/backoffice.json",
];

const SIGN_IN: &str = "/backoffice/sign-in";
const SIGN_OUT: &str = "/backoffice/sign-out";
/// Where one gets to without a page in mind.
const HOME: &str = "/backoffice/jobs";

/// An application with guarded pages, and an admin.
async fn start() -> TestApp {
    let app = TestApp::builder().setting("TWOFOLD_DOCS__STAFF_SIGN_IN", "true").start().await;
    app.add_admin().await;
    app
}

/// A request that is not led elsewhere.
fn request(app: &TestApp, method: Method, path: &str) -> Request {
    let client = reqwest::Client::builder().redirect(redirect::Policy::none()).build();
    Request::new(&client.expect("a client"), method, format!("{}{path}", app.base))
}

/// As a browser asks for a page; `cookie` may be empty.
async fn page(app: &TestApp, path: &str, cookie: &str) -> Answer {
    let request = request(app, Method::GET, path).header("cookie", cookie);
    request.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8").send().await
}

/// A form, without any word of where it comes from.
fn bare_form(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Request {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = request(app, Method::POST, path);
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// A form, as a browser sends it from our own page.
pub fn form(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Request {
    bare_form(app, path, fields).header("origin", &app.base).header("sec-fetch-site", "same-origin")
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Answer {
    form(app, SIGN_IN, &[("email", email), ("password", password)]).send().await
}

/// What a browser sends back of the cookie that an answer sets.
fn cookie_of(answer: &Answer) -> String {
    let (cookie, _) = answer.header("set-cookie").split_once(';').expect("a cookie");
    cookie.to_owned()
}

/// A fresh sign-in: the cookie.
async fn signed_in(app: &TestApp) -> String {
    let answer = sign_in(app, ADMIN, PASSWORD).await;
    assert_eq!((answer.status, answer.header("location")), (303, HOME));
    cookie_of(&answer)
}

/// The cookie of an admin who is added for it.
pub async fn staff_cookie(app: &TestApp) -> String {
    app.add_admin().await;
    signed_in(app).await
}

fn token_of(cookie: &str) -> &str {
    cookie.strip_prefix("__Host-twofold-staff=").expect("our cookie")
}

#[track_caller]
fn assert_led_to_sign_in(answer: &Answer) {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let location = answer.header("location");
    assert!(location.starts_with("/backoffice/sign-in?return_to=%2Fbackoffice%2F"), "{location}");
}

#[tokio::test]
async fn the_backoffice_is_shown_to_staff_only_and_the_client_api_to_everybody() {
    let app = start().await;
    for path in GUARDED {
        assert_led_to_sign_in(&page(&app, path, "").await);
        // A program gets no page.
        app.get(path).send().await.assert_error(401, "unauthenticated");
    }
    for path in ["/client/docs", "/client/redoc", "/client/openapi.json", "/api-docs/client.json"] {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
    let navigation = app.get("/").send().await.text;
    assert!(navigation.contains(SIGN_IN), "{navigation}");

    let cookie = signed_in(&app).await;
    // With others around it, as browsers send them.
    let cookie = format!("a=b; {cookie}; c=\"d\"");
    for path in GUARDED {
        let answer = page(&app, path, &cookie).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("set-cookie").is_empty(), "nothing to renew yet");
    }
}

#[tokio::test]
async fn without_the_setting_everybody_sees_the_documents() {
    let app = TestApp::start().await;
    for path in GUARDED {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_cookie_is_for_this_host_only_and_out_of_reach_of_scripts() {
    let app = start().await;
    let answer = sign_in(&app, ADMIN, PASSWORD).await;
    let mut attributes: Vec<&str> = answer.header("set-cookie").split("; ").skip(1).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=3600", "Path=/", "SameSite=Strict", "Secure"]);
    assert_eq!(answer.header("cache-control"), "no-store");

    // Who has it sees who they are.
    let own = page(&app, SIGN_IN, &cookie_of(&answer)).await.text;
    assert!(own.contains("signed in as grace@example.com") && !own.contains("<input"), "{own}");
}

#[tokio::test]
async fn a_failed_sign_in_tells_nothing_but_that() {
    let app = start().await;
    let mut pages = Vec::new();
    for (email, password) in [
        (ADMIN, "not the password"),
        ("nobody@example.com", PASSWORD),
        ("no address <b>", PASSWORD),
        ("", ""),
    ] {
        let answer = sign_in(&app, email, password).await;
        assert_eq!(answer.status, 401, "{email}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(answer.header("set-cookie").is_empty() && !answer.text.contains(PASSWORD));
        let shown = email.replace('<', "&lt;").replace('>', "&gt;");
        let kept = format!("value=\"{shown}\"");
        assert!(answer.text.contains(&kept), "{}", answer.text);
        assert!(answer.text.contains("password is wrong"), "{}", answer.text);
        pages.push(answer.text.replacen(&kept, "", 1));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "all alike");
    for fields in [&[("email", ADMIN)][..], &[("password", PASSWORD)], &[]] {
        form(&app, SIGN_IN, fields).send().await.assert_error(400, "malformed_request");
    }
}

#[tokio::test]
async fn c01_the_cookie_is_no_token_and_no_token_is_a_cookie() {
    let mut app = start().await;
    let cookie = signed_in(&app).await;
    let token = token_of(&cookie);
    let me = app.get("/api/v1/backoffice/auth/me");
    me.bearer(token).send().await.assert_error(401, "invalid_token");
    let me = app.get("/api/v1/backoffice/auth/me").header("cookie", &cookie);
    me.send().await.assert_error(401, "unauthenticated");
    for path in ["/api/v1/backoffice/auth/refresh", "/api/v1/auth/refresh"] {
        let answer = app.post(path, json!({"refresh_token": token})).send().await;
        answer.assert_error(401, "invalid_token");
    }

    app.verified_user("ada@example.com").await;
    for pair in [app.admin_login().await, app.login("ada@example.com").await] {
        for name in ["access_token", "refresh_token"] {
            let cookie = format!("__Host-twofold-staff={}", pair[name].as_str().expect("a token"));
            assert_led_to_sign_in(&page(&app, "/backoffice/docs", &cookie).await);
            let document = app.get("/backoffice/openapi.json").header("cookie", &cookie);
            document.send().await.assert_error(401, "invalid_token");
        }
        // Pages take no other proof.
        let bearer = app.get("/backoffice/openapi.json");
        let bearer = bearer.bearer(pair["access_token"].as_str().expect("a token"));
        bearer.send().await.assert_error(401, "unauthenticated");
    }
    // Nor is a name that an attacker on a neighbouring host could set.
    let weaker = format!("twofold-staff={token}");
    assert_led_to_sign_in(&page(&app, "/backoffice/docs", &weaker).await);
}

#[tokio::test]
async fn a_session_that_has_ended_opens_nothing() {
    let app = start().await;
    let cookie = signed_in(&app).await;
    let other = signed_in(&app).await;
    // Old enough to be renewed otherwise.
    app.clock.advance(TimeDelta::minutes(30));
    let answer = form(&app, SIGN_OUT, &[]).header("cookie", &cookie).send().await;
    assert_eq!((answer.status, answer.header("location")), (303, SIGN_IN));
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1);
    let removed = answer.header("set-cookie");
    assert!(removed.starts_with("__Host-twofold-staff=;"), "{removed}");
    for attribute in ["Path=/", "Secure", "Max-Age=0"] {
        assert!(removed.contains(attribute), "{removed}");
    }
    assert_led_to_sign_in(&page(&app, "/backoffice/docs", &cookie).await);
    let document = app.get("/backoffice/openapi.json").header("cookie", &cookie);
    document.send().await.assert_error(401, "session_ended");
    // Signing out twice is no fault.
    let again = form(&app, SIGN_OUT, &[]).header("cookie", &cookie).header("accept", "text/html");
    let again = again.send().await;
    assert_eq!(again.header("location"), "/backoffice/sign-in?return_to=%2Fbackoffice%2Fjobs");

    assert_eq!(page(&app, "/backoffice/docs", &other).await.status, 200, "another session");
    let (email, origin) = (ADMIN.parse().expect("an address"), Origin::system("test"));
    staff::reset_password(&app.core, &origin, &email, None).await.expect("reset");
    assert_led_to_sign_in(&page(&app, "/backoffice/docs", &other).await);
}

#[tokio::test]
async fn it_is_a_session_like_any_other_and_ends_with_the_account() {
    let db = TestDb::create().await;
    let builder = TestApp::builder().database_url(&db.url);
    let app = builder.setting("TWOFOLD_DOCS__STAFF_SIGN_IN", "true").start().await;
    app.add_admin().await;
    let sign_in = form(&app, SIGN_IN, &[("email", "Grace@example.com"), ("password", PASSWORD)]);
    let cookie = cookie_of(&sign_in.header("user-agent", "a browser").send().await);
    let database = connect(&db.url).await;
    let sql = "SELECT s.user_agent, s.ip_address, s.revoked_at IS NULL,
               extract(epoch FROM s.expires_at - s.created_at)::int,
               extract(epoch FROM s.refresh_expires_at - s.created_at)::int, a.last_login_at = s.created_at
               FROM admin_sessions s JOIN admins a ON a.id = s.account_id";
    let row = database.query_one(sql, &[]).await.expect("one session");
    assert_eq!(row.get::<_, &str>(0), "a browser");
    assert_eq!(row.get::<_, &str>(1), "127.0.0.1");
    assert!(row.get::<_, bool>(2) && row.get::<_, bool>(5));
    assert_eq!((row.get::<_, i32>(3), row.get::<_, i32>(4)), (86_400, 3600));

    assert_eq!(page(&app, "/backoffice/docs", &cookie).await.status, 200);
    database.execute("DELETE FROM admins", &[]).await.expect("deleted");
    assert_led_to_sign_in(&page(&app, "/backoffice/docs", &cookie).await);
}

#[tokio::test]
async fn it_ends_after_an_idle_hour_and_after_a_day() {
    let app = start().await;
    let idle = signed_in(&app).await;
    app.clock.advance(TimeDelta::minutes(5));
    assert!(page(&app, "/backoffice/docs", &idle).await.header("set-cookie").is_empty());
    app.clock.advance(TimeDelta::minutes(55));
    assert_led_to_sign_in(&page(&app, "/backoffice/docs", &idle).await);
    let document = app.get("/backoffice/openapi.json").header("cookie", &idle);
    document.send().await.assert_error(401, "token_expired");

    let mut cookie = signed_in(&app).await;
    for _ in 0..28 {
        app.clock.advance(TimeDelta::minutes(50));
        let answer = page(&app, "/backoffice/openapi.json", &cookie).await;
        assert_eq!(answer.status, 200);
        cookie = cookie_of(&answer);
    }
    // 23 h 20 min old: the last token ends with the session.
    app.clock.advance(TimeDelta::minutes(39));
    assert_eq!(page(&app, "/backoffice/docs", &cookie).await.status, 200);
    app.clock.advance(TimeDelta::minutes(1));
    assert_led_to_sign_in(&page(&app, "/backoffice/docs", &cookie).await);
}

#[tokio::test]
async fn forms_are_taken_from_our_own_pages_only() {
    let builder = TestApp::builder().setting("TWOFOLD_DOCS__STAFF_SIGN_IN", "true");
    let app = builder.setting("TWOFOLD_SERVER__PUBLIC_URL", "https://api.shop.test/").start().await;
    let cookie = staff_cookie(&app).await;
    let (own, host) = (app.base.as_str(), app.base.strip_prefix("http://").expect("http"));
    let (suffixed, subdomain, userinfo) = (
        format!("{own}.evil.test"),
        format!("http://evil.{host}"),
        format!("http://{host}@evil.test"),
    );
    let credentials = [("email", ADMIN), ("password", PASSWORD)];
    for headers in [
        &[][..],
        &[("sec-fetch-site", "same-origin")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", host)],
        &[("origin", "http://evil.test")],
        &[("origin", "https://api.shop.test.evil.test")],
        &[("origin", "http://api.shop.test")],
        &[("origin", &suffixed)],
        &[("origin", &subdomain)],
        &[("origin", &userinfo)],
        &[("origin", own), ("sec-fetch-site", "cross-site")],
        &[("origin", own), ("sec-fetch-site", "same-site")],
        &[("origin", own), ("sec-fetch-site", "none")],
    ] {
        for (path, fields) in [(SIGN_IN, &credentials[..]), (SIGN_OUT, &[])] {
            let mut request = bare_form(&app, path, fields).header("cookie", &cookie);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.send().await;
            answer.assert_error(403, "forbidden");
            assert!(answer.header("set-cookie").is_empty(), "{headers:?}");
        }
    }
    assert_eq!(page(&app, "/backoffice/docs", &cookie).await.status, 200, "not signed out");
    for headers in [
        // Without TLS on other hosts than this one, browsers don't say what site it is.
        &[("origin", own)][..],
        &[("origin", own), ("sec-fetch-site", "same-origin")],
        &[("origin", "https://api.shop.test"), ("sec-fetch-site", "same-origin")],
        &[("origin", "https://api.example.test"), ("host", "API.example.test")],
    ] {
        let mut request = bare_form(&app, SIGN_IN, &credentials);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        assert_eq!(request.send().await.status, 303, "{headers:?}");
    }
}

#[tokio::test]
async fn a_sign_in_leads_back_to_our_own_pages_only() {
    let app = start().await;
    let cookie = signed_in(&app).await;
    let home = HOME;
    for (return_to, expected) in [
        ("/backoffice/redoc", "/backoffice/redoc"),
        ("/backoffice/jobs?page=2&state=failed", "/backoffice/jobs?page=2&state=failed"),
        ("/backoffice/jobs#top", "/backoffice/jobs"),
        ("", home),
        ("/", home),
        ("/backoffice", home),
        ("/backofficeevil/", home),
        ("/client/docs", home),
        ("//evil.test/backoffice/", home),
        ("///evil.test/backoffice/", home),
        ("/\\evil.test/backoffice/", home),
        ("\\\\evil.test/backoffice/", home),
        ("/\t/evil.test/backoffice/", home),
        ("/\n/evil.test/backoffice/", home),
        (" //evil.test/backoffice/", home),
        ("http://evil.test/backoffice/", home),
        ("https:evil.test/backoffice/", home),
        ("http:/\\evil.test/backoffice/", home),
        ("javascript:alert(1)//backoffice/", home),
        ("data:text/html,/backoffice/", home),
        ("/%2F/evil.test/backoffice/", home),
        ("/backoffice/../client/docs", home),
        ("/backoffice/%2e%2e/client/docs", home),
        ("/backoffice/..%5c..//evil.test", "/backoffice/..%5c..//evil.test"),
        ("/backoffice/\\../..//evil.test", home),
        ("/backoffice/x\r\nset-cookie: a=b", "/backoffice/xset-cookie:%20a=b"),
    ] {
        let fields = [("email", ADMIN), ("password", PASSWORD), ("return_to", return_to)];
        let answer = form(&app, SIGN_IN, &fields).send().await;
        let location = answer.header("location");
        assert_eq!((answer.status, location), (303, expected), "{return_to:?}");

        // The page names the same address, whether or not one is signed in.
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to)
            .finish();
        for cookie in ["", &cookie] {
            let page = page(&app, &format!("{SIGN_IN}?{query}"), cookie).await.text;
            let shown = expected.replace('/', "&#x2f;").replace('&', "&amp;");
            let shown = shown.replace("&amp;#x2f;", "&#x2f;");
            assert!(page.contains(&format!("\"{shown}\"")), "{return_to:?}: {page}");
        }
    }
    // What leads there brings the address along.
    let led = page(&app, "/backoffice/redoc?a=b%26c", "").await;
    let query = "return_to=%2Fbackoffice%2Fredoc%3Fa%3Db%2526c";
    assert_eq!(led.header("location"), format!("{SIGN_IN}?{query}"));
}

#[tokio::test]
async fn whoever_signs_in_anew_has_left_the_session_before() {
    let app = start().await;
    let before = signed_in(&app).await;
    let fields = [("email", ADMIN), ("password", PASSWORD)];
    let after = cookie_of(&form(&app, SIGN_IN, &fields).header("cookie", &before).send().await);
    assert_led_to_sign_in(&page(&app, "/backoffice/docs", &before).await);
    assert_eq!(page(&app, "/backoffice/docs", &after).await.status, 200);
}

#[tokio::test]
async fn other_methods_are_refused_by_name() {
    let app = start().await;
    let cookie = signed_in(&app).await;
    for (method, path, allow) in [
        (Method::PUT, SIGN_IN, "GET, HEAD, OPTIONS, POST"),
        (Method::GET, SIGN_OUT, "OPTIONS, POST"),
        (Method::POST, "/backoffice/docs", "GET, HEAD, OPTIONS"),
    ] {
        let request = request(&app, method, path).header("cookie", &cookie);
        let answer = request.header("origin", &app.base).send().await;
        answer.assert_error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}
