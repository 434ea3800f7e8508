//! The headers that make browsers strict, on every answer.

use reqwest::Method;

use crate::support::TestApp;

const STRICT: [(&str, &str); 5] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

#[tokio::test]
async fn c24_every_answer_has_them() {
    let app = TestApp::start().await;
    for (method, path, status) in [
        (Method::GET, "/api/v1/config/release", 200),
        (Method::HEAD, "/api/v1/config/release", 200),
        (Method::OPTIONS, "/api/v1/config/release", 204),
        (Method::GET, "/api/v1/users/me", 401),
        (Method::GET, "/nope", 404),
        (Method::PUT, "/api/v1/users/me", 405),
        (Method::GET, "/health/live", 200),
        (Method::GET, "/client/openapi.json", 200),
        (Method::GET, "/", 200),
        (Method::GET, "/client/docs", 200),
    ] {
        let answer = app.request(method, path).send().await;
        assert_eq!(answer.status, status, "{path}");
        let is_page = answer.header("content-type").starts_with("text/html");
        for (name, value) in STRICT {
            // Browsers say where a form comes from only with this policy.
            let is_own = is_page && name == "referrer-policy";
            let value = if is_own { "same-origin" } else { value };
            assert_eq!(answer.header(name), value, "{path} {name}");
            assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{path} {name}");
        }
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(policy.contains("script-src"), path.ends_with("/docs"), "{path}: {policy}");
        for name in ["server", "x-powered-by", "strict-transport-security"] {
            assert_eq!(answer.header(name), "", "{path} {name}");
        }
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn c24_browsers_are_kept_to_tls_where_there_is_some() {
    for (url, expected) in [("https://api.shop.test", "max-age=63072000"), ("http://a.test", "")] {
        let app = TestApp::builder().setting("TWOFOLD_SERVER__PUBLIC_URL", url).start().await;
        for path in ["/health/live", "/nope", "/"] {
            let answer = app.get(path).send().await;
            assert_eq!(answer.header("strict-transport-security"), expected, "{url} {path}");
        }
    }
}
