//! Queries are read strictly, on every operation.

use reqwest::Method;
use twofold::api;

use crate::support::TestApp;

#[tokio::test]
async fn every_operation_refuses_what_it_does_not_know_after_the_guard() {
    let mut app = TestApp::start().await;
    let admin = app.admin_token().await;
    let user = app.user_token("ada@example.com").await;
    let documents = api::documents(None);
    for document in &documents {
        let token = if document.surface.name() == "client" { &user } else { &admin };
        for operation in document.operations() {
            let path = operation.path.replace("{id}", "01975b2e-7c40-7000-8000-000000000001");
            let path = format!("{path}?surely_unknown=1&surely_unknown=2&id=3");
            let method: Method = operation.method.parse().expect("a method");
            let unknown = |name: &str| (name.to_owned(), "unknown".to_owned());
            let expected = [unknown("surely_unknown"), unknown("id")];
            let at = &operation.operation_id;
            let request = app.request(method.clone(), &path).body("{");
            let request = if operation.needs_token {
                let without = || app.request(method.clone(), &path).body("{");
                without().send().await.assert_error(401, "unauthenticated");
                without().bearer("x").send().await.assert_error(401, "invalid_token");
                request.bearer(token)
            } else {
                request
            };
            let mut faults = request.send().await.faults();
            // What is missing is told as well.
            faults.retain(|(_, rule)| rule != "required");
            assert_eq!(faults, expected, "{at}");
            if method == Method::GET {
                let head = app.request(Method::HEAD, &path).bearer(token).send().await;
                assert_eq!(head.status, 422, "{at}");
            }
        }
    }
}

#[tokio::test]
async fn a_known_parameter_comes_once_and_not_empty() {
    let app = TestApp::start().await;
    let token = app.admin_token().await;
    let list = async |query: &str| {
        let answer = app.get(&format!("/api/v1/backoffice/users?{query}")).bearer(&token);
        answer.send().await.faults()
    };
    for (query, field, rule) in [
        ("page=1&page=1", "page", "repeated"),
        ("sort=email&q=a&sort=name", "sort", "repeated"),
        ("Page=1", "Page", "unknown"),
        ("page[]=1", "page[]", "unknown"),
        ("=1", "", "unknown"),
        ("page=", "page", "type"),
        ("q=", "q", "too_short"),
        ("status=", "status", "enum"),
        ("verified=", "verified", "type"),
        ("created_from=", "created_from", "date_time"),
        ("cursor=", "cursor", "pattern"),
        ("sort=", "sort", "pattern"),
    ] {
        assert_eq!(list(query).await, [(field.to_owned(), rule.to_owned())], "{query}");
    }
    // Of many there is an end.
    let many: Vec<String> = (0..500).map(|n| format!("x{n}")).collect();
    assert_eq!(list(&many.join("&")).await.len(), 100);
}
