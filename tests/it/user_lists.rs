//! Lists of users, when there are many: what PostgreSQL reads for a page.

use diesel_async::RunQueryDsl;
use serde_json::json;
use twofold::{
    db::{
        count,
        keyset::{Sort, Window},
        search::Frequency,
        users::{self, User, UserFilter, UserSort, UserStatus, counted, listed},
    },
    services::{
        self,
        cursors::{ListRequest, Start},
    },
};

use crate::support::{
    TestApp, TestDb,
    explain::{Explain, assert_cheap},
    rounds,
    statements::Statements,
};

const MANY: &str = include_str!("support/many_users.sql");

/// A start with so many users, as they are after a while.
async fn many(count: usize) -> (TestApp, TestDb) {
    let many = MANY.replace(":count", &count.to_string());
    TestApp::with_rows(&[&many, "VACUUM ANALYZE users"]).await
}

fn filters() -> Vec<UserFilter> {
    let time = |text: &str| text.parse().ok();
    let search = |text: &str| UserFilter { search: Some(text.to_owned()), ..UserFilter::default() };
    let with = |change: fn(&mut UserFilter)| {
        let mut filter = UserFilter::default();
        change(&mut filter);
        filter
    };
    vec![
        UserFilter::default(),
        // Of few, of many, of nobody, of one.
        search("cfcd2084"),
        search("user12"),
        search("example"),
        search("surely nobody"),
        search("z"),
        search("漢"),
        search("user39999@"),
        search("01975b2e-7c40-7000-8000-000000000001"),
        with(|filter| filter.status = Some(UserStatus::Active)),
        with(|filter| filter.status = Some(UserStatus::Suspended)),
        with(|filter| filter.status = Some(UserStatus::Deleted)),
        with(|filter| filter.verified = Some(true)),
        with(|filter| filter.verified = Some(false)),
        with(|filter| filter.has_second_factor = Some(true)),
        with(|filter| filter.has_second_factor = Some(false)),
        UserFilter { created_from: time("2026-01-08T20:00:00Z"), ..UserFilter::default() },
        UserFilter { created_to: time("2026-01-01T00:10:00Z"), ..UserFilter::default() },
        UserFilter { created_to: time("2026-01-07T00:00:00Z"), ..UserFilter::default() },
        UserFilter { last_login_from: time("2026-01-02T03:46:00Z"), ..UserFilter::default() },
        UserFilter { last_login_to: time("2026-01-02T00:00:00Z"), ..UserFilter::default() },
    ]
}

async fn plan(app: &TestApp, filter: &UserFilter, window: &Window<UserSort>) -> Vec<String> {
    let mut conn = app.core.db.conn().await.expect("a connection");
    let total = users::count(&mut conn, filter).await.expect("counted");
    let listed = listed(filter, Frequency::of(total.rows), window);
    Explain(listed).load(&mut conn).await.expect("explained")
}

#[tokio::test]
async fn every_sort_and_filter_of_many_users_is_cheap() {
    let (app, _db) = many(rounds(40_000, 1_000_000)).await;
    let sorts = ["created_at", "email", "name", "last_login_at"];
    let parse = |sort: &str| Sort::<UserSort>::parse(sort).expect("a sort");
    for filter in filters() {
        let mut conn = app.core.db.conn().await.expect("a connection");
        let lines = Explain(counted(&filter)).load::<String>(&mut conn).await.expect("explained");
        drop(conn);
        assert_cheap(&lines, &format!("count of {filter:?}"));
        for sort in sorts.iter().flat_map(|sort| [(*sort).to_owned(), format!("-{sort}")]) {
            let what = format!("{sort} of {filter:?}");
            let window = Window { sort: parse(&sort), behind: None, offset: 0, limit: 21 };
            assert_cheap(&plan(&app, &filter, &window).await, &what);
            // By cursor, from the middle.
            let (start, limit) = (Start::Page(20), 20);
            let request = ListRequest { start, limit, sort: parse(&sort) };
            let listed = services::users::list(&app.core, &filter, request).await.expect("listed");
            let Some(last) = listed.items.last() else { continue };
            let place = parse(&sort).place(last);
            let window = Window { sort: parse(&sort), behind: Some(place), offset: 0, limit: 21 };
            assert_cheap(&plan(&app, &filter, &window).await, &what);
        }
    }
}

#[tokio::test]
async fn a_search_finds_what_it_says() {
    let (app, _db) = many(40_000).await;
    let found = async |search: &str| -> Vec<User> {
        let filter = UserFilter { search: Some(search.to_owned()), ..UserFilter::default() };
        let sort = Sort::parse("email").expect("a sort");
        let request = ListRequest { start: Start::First, limit: 100, sort };
        services::users::list(&app.core, &filter, request).await.expect("listed").items
    };
    assert_eq!(found("user4000").await.len(), 2, "and user40000");
    let one = found("USER39999@").await;
    assert_eq!(one.len(), 1);
    assert_eq!(found(&one[0].id.to_string()).await[0].email, one[0].email, "by its identifier");
    assert!(found("_ser39999").await.is_empty() && found("%39999@").await.is_empty());
    assert_eq!(found("Ada").await.len(), 100);
}

#[tokio::test]
async fn no_more_than_some_are_counted_and_a_page_takes_two_statements() {
    let (_app, db) = many(40_000).await;
    let app = Statements::app().database_url(&db.url).start().await;
    let token = app.admin_token().await;
    let statements = Statements::watch();
    let list = async |query: &str| {
        let path = format!("/api/v1/backoffice/users{query}");
        let (count, answer) = statements.of(app.get(&path).bearer(&token).send()).await;
        (count, answer.data())
    };
    list("").await;
    let (count, all) = list("").await;
    assert_eq!((count, &all["total"]), (2, &json!(count::MOST)));
    assert_eq!((&all["total_is_capped"], &all["last_page"]), (&json!(true), &json!(100)));
    let (count, suspended) = list("?status=suspended&sort=name,-email&q=user").await;
    assert_eq!((count, &suspended["total"]), (2, &json!(400)));
    assert_eq!(suspended["total_is_capped"], false);
    let cursor = suspended["next_cursor"].as_str().expect("a cursor");
    let next = format!("?status=suspended&sort=name,-email&q=user&cursor={cursor}");
    let (count, next) = list(&next).await;
    assert!(count == 2 && next.get("total").is_none(), "{count} {next}");
    let cursor = all["next_cursor"].as_str().expect("a cursor");
    let (count, next) = list(&format!("?cursor={cursor}")).await;
    assert!(count == 1 && next.get("total").is_none(), "{count} {next}");
}
