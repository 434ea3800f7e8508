//! Lists: their parameters, pages and cursors, over HTTP.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, OpenApiService, param::Query as QueryParam};
use serde_json::{Value, json};
use twofold::{
    api::{
        ApiVersion, Surface,
        auth::ClientAuth,
        client::v1::users::CurrentUser,
        envelope::{Answer, ApiResponse, CursorPage},
        listing::{Cursor, PageSize, SortText, feed_request},
    },
    db::users::{UserFilter, UserSort},
    services::{Core, users},
};

use crate::{
    keyset::MANY_TIES,
    support::{
        TestApp, TestDb, cluster::connect, http::Answer as HttpAnswer, statements::Statements,
    },
};

const USERS: &str = "/api/v1/backoffice/users";

async fn list(app: &TestApp, token: &str, query: &str) -> HttpAnswer {
    app.get(&format!("{USERS}{query}")).bearer(token).send().await
}

#[tokio::test]
async fn a_table_goes_on_by_cursor() {
    let (app, _db) = TestApp::with_rows(&[MANY_TIES]).await;
    let token = app.admin_token().await;
    let first = list(&app, &token, "?per_page=8&sort=-email").await.data();
    assert_eq!((&first["total"], &first["last_page"]), (&json!(18), &json!(3)));
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let query = format!("?per_page=9&sort=-email&cursor={cursor}");
    let second = list(&app, &token, &query).await.data();
    assert_eq!(second["items"].as_array().map(Vec::len), Some(9));
    assert_eq!((&second["has_more"], &second["per_page"]), (&json!(true), &json!(9)));
    for absent in ["total", "current_page", "last_page"] {
        assert!(second.get(absent).is_none(), "{absent} would have to be counted");
    }
    let cursor = second["next_cursor"].as_str().expect("a cursor");
    let third = list(&app, &token, &format!("?sort=-email&cursor={cursor}")).await.data();
    assert_eq!((&third["has_more"], third.get("next_cursor")), (&json!(false), None));
    let of = |page: &Value| page["items"].as_array().expect("items").clone();
    let all = list(&app, &token, "?per_page=100&sort=-email").await.data();
    assert_eq!([of(&first), of(&second), of(&third)].concat(), of(&all));
    // The last page has no cursor, whichever way one came to it.
    let last = list(&app, &token, "?per_page=6&page=3").await.data();
    assert_eq!((&last["has_more"], last.get("next_cursor")), (&json!(false), None));
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let (app, _db) = TestApp::with_rows(&[MANY_TIES]).await;
    let token = app.admin_token().await;
    let first = list(&app, &token, "?per_page=5&sort=email&status=active").await.data();
    let cursor = first["next_cursor"].as_str().expect("a cursor").to_owned();
    let with = |query: String| {
        let (app, token) = (&app, &token);
        async move { list(app, token, &query).await }
    };
    with(format!("?sort=email&status=active&cursor={cursor}")).await.data();
    let refused = [
        format!("?status=active&cursor={cursor}"),
        format!("?sort=-email&status=active&cursor={cursor}"),
        format!("?sort=email,name&status=active&cursor={cursor}"),
        format!("?sort=email&cursor={cursor}"),
        format!("?sort=email&status=active&q=x&cursor={cursor}"),
        format!("?sort=email&status=active&cursor={}", &cursor[..cursor.len() - 1]),
        format!("?sort=email&status=active&cursor=A{}", &cursor[1..]),
        "?sort=email&status=active&cursor=AAAA".to_owned(),
    ];
    for query in refused {
        let faults = with(query.clone()).await.faults();
        assert_eq!(faults, [("cursor".to_owned(), "invalid_cursor".to_owned())], "{query}");
    }
    for (query, fault) in [
        (format!("?sort=email&page=1&cursor={cursor}"), ("page", "conflict")),
        ("?cursor=".to_owned(), ("cursor", "pattern")),
        ("?cursor=a.b".to_owned(), ("cursor", "pattern")),
        (format!("?cursor={}", "a".repeat(2049)), ("cursor", "too_long")),
    ] {
        assert_eq!(with(query).await.faults(), [(fault.0.to_owned(), fault.1.to_owned())]);
    }
    // Another installation has another key.
    let (other, _other_db) = TestApp::with_rows(&[MANY_TIES]).await;
    let token = other.admin_token().await;
    let query = format!("?sort=email&status=active&cursor={cursor}");
    let faults = list(&other, &token, &query).await.faults();
    assert_eq!(faults, [("cursor".to_owned(), "invalid_cursor".to_owned())]);
}

#[tokio::test]
async fn filters_say_what_they_mean() {
    let (app, db) = TestApp::with_rows(&[MANY_TIES]).await;
    let token = app.admin_token().await;
    let verify = "UPDATE users SET email_verified_at = created_at WHERE name = 'ada'";
    connect(&db.url).await.batch_execute(verify).await.expect("updated");
    let total = async |query: &str| list(&app, &token, query).await.data()["total"].clone();
    assert_eq!(total("?verified=true").await, 6);
    assert_eq!(total("?verified=false").await, 12);
    let day = |day| format!("2026-02-0{day}T00:00:00Z");
    let (all, from) = (total("").await, total(&format!("?created_from={}", day(3))).await);
    let to = total(&format!("?created_to={}", day(3))).await;
    assert_eq!(from.as_i64().zip(to.as_i64()).map(|(from, to)| from + to), all.as_i64());
    assert!(from != 0 && to != 0, "{from} and {to}");
    let none = format!("?created_from={}&created_to={0}", day(3));
    assert_eq!(total(&none).await, 0, "from is in, to is not");
    for bad in ["2026-02-03", "yesterday", "2026-13-01T00:00:00Z"] {
        let faults = list(&app, &token, &format!("?created_from={bad}")).await.faults();
        assert_eq!(faults, [("created_from".to_owned(), "date_time".to_owned())], "{bad}");
    }
}

#[tokio::test]
async fn a_page_takes_two_statements_and_one_by_cursor() {
    let statements = Statements::watch();
    let db = TestDb::create().await;
    connect(&db.url).await.batch_execute(MANY_TIES).await.expect("inserted");
    let app = Statements::app().database_url(&db.url).start().await;
    let token = app.admin_token().await;
    let statements = async |query: String| {
        statements.of(async { list(&app, &token, &query).await.data() }).await
    };
    // The session is known from then on.
    list(&app, &token, "").await.data();
    let (page, data) = statements("?per_page=5".to_owned()).await;
    assert_eq!(page, 2);
    let cursor = data["next_cursor"].as_str().expect("a cursor");
    assert_eq!(statements(format!("?per_page=5&cursor={cursor}")).await.0, 1);
}

/// An API with a feed, as a next resource would have one.
struct FeedApi;

#[OpenApi]
impl FeedApi {
    /// List accounts
    #[oai(path = "/accounts", method = "get", operation_id = "list_accounts")]
    async fn list(
        &self,
        _auth: ClientAuth,
        core: Data<&Arc<Core>>,
        /// The `next_cursor` of the page before.
        cursor: QueryParam<Option<Cursor>>,
        /// How many a page holds.
        #[oai(default)]
        limit: QueryParam<PageSize>,
        /// How the list is sorted.
        #[oai(default)]
        sort: QueryParam<SortText<UserSort>>,
    ) -> Answer<CursorPage<CurrentUser>> {
        let request = feed_request(cursor.0, limit.0, &sort.0)?;
        Ok(ApiResponse::success(users::list(core.0, &UserFilter::default(), request).await?.into()))
    }
}

#[tokio::test]
async fn a_feed_has_items_a_cursor_and_whether_there_is_more() {
    let service = OpenApiService::new(FeedApi, "Feed API", "2.0");
    let version = ApiVersion::new(Surface::Client, "v2", service);
    let mut app = TestApp::builder().version(version).start().await;
    let token = app.user_token("ada@example.com").await;
    app.verified_user("bob@example.com").await;
    let get = async |query: &str| {
        app.get(&format!("/api/v2/accounts{query}")).bearer(&token).send().await
    };
    let first = get("?limit=1").await.data();
    assert_eq!(first["items"][0]["email"], "bob@example.com");
    let keys: Vec<&String> = first.as_object().expect("a page").keys().collect();
    assert_eq!(keys, ["items", "next_cursor", "has_more"]);
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let last = get(&format!("?cursor={cursor}")).await.data();
    assert_eq!(
        (&last["items"][0]["email"], &last["has_more"]),
        (&json!("ada@example.com"), &json!(false))
    );
    let faults = get("?limit=101&sort=status").await.faults();
    let expected = [("limit", "too_large"), ("sort", "pattern")];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
}
