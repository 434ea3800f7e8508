//! Walking sorted lists by cursor: each row once, in order, at the same cost for each page.

use std::{cmp::Ordering, collections::BTreeSet};

use diesel_async::RunQueryDsl;
use twofold::{
    db::{
        keyset::{Sort, Window},
        search::Frequency,
        users::{User, UserFilter, UserSort, listed},
    },
    services::{
        Core,
        cursors::{ListRequest, Start},
        users,
    },
};

use crate::support::{TestApp, cluster::connect, explain::Explain};

const COLUMNS: [&str; 4] = ["created_at", "email", "name", "last_login_at"];

/// 18 users with equal times, equal names, and without names and sign-ins.
pub const MANY_TIES: &str = "
    INSERT INTO users (id, email, name, password_hash, status, last_login_at, created_at, updated_at)
    SELECT gen_random_uuid(), 'user' || chr(97 + n * 7 % 18) || '@example.com',
           (ARRAY[NULL, 'ada', 'bob'])[1 + n % 3], 'x', 'active',
           (ARRAY[NULL, timestamptz '2026-01-01', '2026-01-02'])[1 + n * 5 % 7 % 3],
           timestamptz '2026-02-01' + make_interval(days => n * 11 % 4), timestamptz '2026-02-01'
    FROM generate_series(0, 17) n";

async fn page(core: &Core, sort: &str, start: Start, limit: u32) -> (Vec<User>, Option<String>) {
    let sort = Sort::<UserSort>::parse(sort).expect("a sort");
    let request = ListRequest { start, limit, sort };
    let listed = users::list(core, &UserFilter::default(), request).await.expect("listed");
    (listed.items, listed.next_cursor)
}

/// All users, page by page.
async fn walk(core: &Core, sort: &str, limit: u32) -> Vec<User> {
    let (first, next) = page(core, sort, Start::First, limit).await;
    [first, follow(core, sort, limit, next).await].concat()
}

/// The pages from a cursor on.
async fn follow(core: &Core, sort: &str, limit: u32, mut next: Option<String>) -> Vec<User> {
    let mut all = Vec::new();
    for _ in 0..100 {
        let Some(cursor) = next else { return all };
        let (items, following) = page(core, sort, Start::Cursor(cursor), limit).await;
        assert!(!items.is_empty(), "{sort}: an empty page");
        all.extend(items);
        next = following;
    }
    panic!("{sort}: no end");
}

/// Every order of up to three columns, each up or down.
fn every_sort() -> Vec<String> {
    let mut sorts: Vec<String> = Vec::new();
    let mut longer = vec![String::new()];
    for _ in 0..3 {
        let mut next = Vec::new();
        for sort in &longer {
            for column in COLUMNS.iter().filter(|column| !sort.contains(*column)) {
                let comma = if sort.is_empty() { "" } else { "," };
                next.extend(["", "-"].map(|sign| format!("{sort}{comma}{sign}{column}")));
            }
        }
        sorts.extend(next.clone());
        longer = next;
    }
    sorts
}

/// The documented order, in Rust: NULLs first going up, last going down, ties by the id.
fn compare(sort: &str, one: &User, other: &User) -> Ordering {
    let id = if sort.starts_with('-') { "-id" } else { "id" };
    for part in sort.split(',').chain([id]) {
        let order = match part.trim_start_matches('-') {
            "created_at" => one.created_at.cmp(&other.created_at),
            "email" => one.email.cmp(&other.email),
            "name" => one.name.cmp(&other.name),
            "last_login_at" => one.last_login_at.cmp(&other.last_login_at),
            _ => one.id.cmp(&other.id),
        };
        let order = if part.starts_with('-') { order.reverse() } else { order };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[tokio::test]
async fn every_sort_is_walked_in_its_order() {
    let (app, _db) = TestApp::with_rows(&[MANY_TIES]).await;
    let sorts = every_sort();
    assert_eq!(sorts.len(), 8 + 8 * 6 + 8 * 6 * 4);
    for sort in sorts {
        let walked = walk(&app.core, &sort, 4).await;
        let mut expected = walked.clone();
        expected.sort_by(|one, other| compare(&sort, one, other));
        let ids = |users: &[User]| users.iter().map(|user| user.id).collect::<Vec<_>>();
        assert_eq!((walked.len(), ids(&walked)), (18, ids(&expected)), "{sort}");
        let (at_once, _) = page(&app.core, &sort, Start::First, 100).await;
        assert_eq!(ids(&at_once), ids(&walked), "{sort}");
    }
}

#[tokio::test]
async fn rows_that_come_and_go_repeat_no_other() {
    let (app, db) = TestApp::with_rows(&[MANY_TIES]).await;
    let sql = connect(&db.url).await;
    for sort in ["-created_at", "name,-last_login_at", "-last_login_at"] {
        let all = walk(&app.core, sort, 100).await;
        let (seen, next) = page(&app.core, sort, Start::First, 6).await;
        // One comes before the page, the cursor's own row goes, and one that is yet to come.
        let gone = [seen[5].id, all[9].id];
        let change = format!(
            "DELETE FROM users WHERE id IN ('{}', '{}');
             INSERT INTO users SELECT gen_random_uuid(), gen_random_uuid()::text, name, 'x', NULL,
             status, NULL, NULL, NULL, last_login_at, created_at, updated_at
             FROM users WHERE id = '{}'",
            gone[0], gone[1], seen[0].id
        );
        sql.batch_execute(&change).await.expect("changed");
        let rest = follow(&app.core, sort, 6, next).await;
        let ids: BTreeSet<_> = seen.iter().chain(&rest).map(|user| user.id).collect();
        assert_eq!(ids.len(), seen.len() + rest.len(), "{sort}: one is repeated");
        let missing = all.iter().filter(|user| !ids.contains(&user.id) && !gone.contains(&user.id));
        assert_eq!(missing.count(), 0, "{sort}: one is left out");
    }
}

async fn plan(app: &TestApp, sort: &str, behind: &User) -> String {
    let sort = Sort::<UserSort>::parse(sort).expect("a sort");
    let place = sort.place(behind);
    let window = Window { sort, behind: Some(place), offset: 0, limit: 21 };
    let mut conn = app.core.db.conn().await.expect("a connection");
    let filter = UserFilter::default();
    let explained = Explain(listed(&filter, Frequency::Rare, &window));
    let lines: Vec<String> = explained.load(&mut conn).await.expect("explained");
    lines.join("\n")
}

#[tokio::test]
async fn a_deep_page_reads_no_more_rows_than_it_shows() {
    // 1,000 users of each time: of an import, say.
    let (app, db) = TestApp::with_rows(&[
        // A third of them without a name, a third without a sign-in.
        "INSERT INTO users (id, email, name, password_hash, status, last_login_at, created_at, updated_at)
         SELECT gen_random_uuid(), n || '@example.com', (ARRAY[NULL, 'Ada', 'Bob'])[1 + n % 3], 'x', 'active',
                (ARRAY[NULL, timestamptz '2026-02-01', '2026-02-02'])[1 + n / 3 % 3],
                timestamptz '2026-01-01' + make_interval(secs => n / 1000), timestamptz '2026-01-01'
         FROM generate_series(1, 100000) n;
         ANALYZE users",
    ])
    .await;
    let database = connect(&db.url).await;
    for (column, indexed) in [
        ("created_at", "created_at"),
        ("name", "COALESCE(name, "),
        ("last_login_at", "COALESCE(last_login_at, "),
    ] {
        // Among those without a value, too.
        for offset in [500, 50_500] {
            let middle = format!(
                "SELECT id::text FROM users ORDER BY {column} NULLS FIRST, id OFFSET {offset} LIMIT 1"
            );
            let row = database.query_one(&middle, &[]).await.expect("one");
            let id = row.get::<_, &str>(0).parse().expect("an id");
            let user = users::get(&app.core, id).await.expect("the user");
            for sort in [format!("-{column}"), column.to_owned()] {
                let plan = plan(&app, &sort, &user).await;
                assert!(plan.contains(&format!("using users_{column}")), "{plan}");
                assert!(plan.contains(&format!("Index Cond: (ROW({indexed}")), "{plan}");
                for costly in ["Sort", "Seq Scan", "Filter"] {
                    assert!(!plan.contains(costly), "{costly} in {plan}");
                }
            }
        }
    }
    let middle = "SELECT id::text FROM users ORDER BY created_at, id OFFSET 50500 LIMIT 1";
    let row = database.query_one(middle, &[]).await.expect("one");
    let id = row.get::<_, &str>(0).parse().expect("an id");
    let user = users::get(&app.core, id).await.expect("the user");
    // Up and down mixed, the index still begins at the place.
    let plan = plan(&app, "-created_at,email", &user).await;
    assert!(plan.contains("Index Cond: (created_at <="), "{plan}");
}
