//! Lists of posts, when there are many: what PostgreSQL reads for a page.

use diesel_async::RunQueryDsl;
use twofold::{
    db::{
        keyset::{Sort, Window},
        posts::{
            AuthorFilter, AuthorSort, FeedFilter, FeedSort, PostFilter, PostSort, PostState,
            Search, counted, in_feed, listed, search, written_by,
        },
    },
    services::{
        cursors::{ListRequest, Start},
        posts,
    },
};
use uuid::Uuid;

use crate::support::{
    TestApp, TestDb,
    cluster::connect,
    explain::{Explain, assert_cheap, read},
};

/// 40,000 posts of 100 authors, of which the first wrote every second one. Of 10 one isn't published; every second one
/// has a tag, of 400 each one another.
const MANY: &str = "
    INSERT INTO users (id, email, password_hash, status, created_at, updated_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '@example.com', 'x', 'active',
           '2026-01-01', '2026-01-01'
    FROM generate_series(0, 99) n;
    INSERT INTO posts (id, author_id, slug, title, body, html, excerpt, tags, stage, published_at, created_at,
                       updated_at)
    SELECT gen_random_uuid(),
           ('00000000-0000-7000-8000-' || lpad((CASE WHEN n % 2 = 0 THEN 0 ELSE n % 100 END)::text, 12, '0'))::uuid,
           'post-' || n, 'Post ' || n, CASE WHEN n % 3 = 0 THEN 'third' ELSE 'seldom' || n % 1000 END, 'x', 'x',
           CASE WHEN n % 2 = 0 THEN ARRAY['often'] ELSE ARRAY['tag-' || n % 400] END,
           CASE WHEN n % 10 = 0 THEN 'draft' ELSE 'published' END,
           CASE WHEN n % 10 <> 0 THEN timestamptz '2026-01-01' + make_interval(secs => n * 17) END,
           timestamptz '2026-01-01' + make_interval(secs => n * 17), '2026-01-01'
    FROM generate_series(1, 40000) n";

async fn many() -> (TestApp, TestDb) {
    TestApp::with_rows(&[MANY, "VACUUM ANALYZE posts"]).await
}

fn author(number: u128) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 + number)
}

#[tokio::test]
async fn every_page_of_the_feed_is_cheap() {
    let (app, _db) = many().await;
    let tag = |tag: &str| FeedFilter { tag: Some(tag.to_owned()), ..FeedFilter::default() };
    let by = |number| FeedFilter { author_id: Some(author(number)), ..FeedFilter::default() };
    let both = FeedFilter { author_id: Some(author(0)), ..tag("often") };
    let filters = [
        FeedFilter::default(),
        tag("often"),
        tag("tag-77"),
        tag("none"),
        by(0),
        by(7),
        by(98),
        both,
    ];
    for filter in filters {
        for sort in ["-published_at", "published_at"] {
            let parse = || Sort::<FeedSort>::parse(sort).expect("a sort");
            let what = format!("{sort} of {filter:?}");
            let request = ListRequest { start: Start::Page(90), limit: 100, sort: parse() };
            let middle = posts::feed(&app.core, &filter, request).await.expect("listed");
            let place = middle.items.last().map(|last| parse().place(last));
            assert!(place.is_some() || filter != FeedFilter::default());
            for behind in [None, place] {
                let window = Window { sort: parse(), behind, offset: 0, limit: 21 };
                let mut conn = app.core.db.conn().await.expect("a connection");
                let query = Explain(in_feed(&filter, &window));
                let lines: Vec<String> = query.load(&mut conn).await.expect("explained");
                assert_cheap(&lines, &what);
            }
        }
    }
}

#[tokio::test]
async fn every_page_of_an_authors_posts_is_cheap() {
    let (app, _db) = many().await;
    for state in [None, Some(PostState::Draft), Some(PostState::Published), Some(PostState::Hidden)]
    {
        for number in [0, 7] {
            let sort = Sort::<AuthorSort>::by_default();
            let window = Window { sort, behind: None, offset: 0, limit: 21 };
            let mut conn = app.core.db.conn().await.expect("a connection");
            let query = written_by(AuthorFilter { author_id: author(number), state }, &window);
            let lines: Vec<String> = Explain(query).load(&mut conn).await.expect("explained");
            assert_cheap(&lines, &format!("{state:?} of {number}"));
        }
    }
}

/// Of all lines of a plan that read posts: how many rows they have given, and thrown away.
fn posts_read(lines: &[String]) -> f64 {
    let at = |line: &String| line.contains(" on posts ");
    (0..lines.len()).filter(|index| at(&lines[*index])).map(|index| read(lines, index)).sum()
}

#[tokio::test]
async fn every_search_is_cheap_however_frequent_its_words_are() {
    let (app, _db) = many().await;
    while posts::words::count(&app.core, 10_000).await.expect("counted") > 0 {}
    for (text, count) in [
        ("post", 200),
        ("p", 200),
        ("third", 200),
        ("post third", 200),
        ("third seldom777", 0),
        ("post seldom777", 26),
        ("seldom777", 26),
        ("seldom7", 200),
        ("seldom", 200),
        ("s", 200),
        ("none", 0),
        ("!", 0),
    ] {
        let first = Window { sort: Sort::by_default(), behind: None, offset: 0, limit: 1001 };
        let mut conn = app.core.db.conn().await.expect("a connection");
        let found = search(&mut conn, text, &first).await.expect("found");
        assert_eq!(found.len(), count, "{text}");
        let place = found.get(20).map(|last| first.sort.place(last));
        for behind in [None, place] {
            let window = Window { sort: Sort::by_default(), behind, offset: 0, limit: 21 };
            let query = Explain(Search::new(text, &window));
            let lines: Vec<String> = query.load(&mut conn).await.expect("explained");
            assert_cheap(&lines, text);
            // Those of the last slot that was looked at, and a few more.
            assert!(posts_read(&lines) <= 1500.0, "{text}: {lines:#?}");
        }
    }
}

#[tokio::test]
async fn a_search_finds_what_is_new_and_what_was_written_millions_ago() {
    /// One more of these, ten million numbers later.
    const LATER: &str = "
        SELECT setval('post_numbers', 10000000);
        INSERT INTO posts (id, author_id, slug, title, body, html, excerpt, tags, stage, published_at, created_at,
                           updated_at)
        SELECT gen_random_uuid(), author_id, 'later', title, body, html, excerpt, tags, stage, published_at, created_at,
               updated_at
        FROM posts WHERE stage = 'published' AND body = 'seldom777' LIMIT 1";
    let (app, db) = many().await;
    while posts::words::count(&app.core, 10_000).await.expect("counted") > 0 {}
    connect(&db.url).await.batch_execute(LATER).await.expect("inserted");
    let window = Window { sort: Sort::by_default(), behind: None, offset: 0, limit: 1001 };
    let mut conn = app.core.db.conn().await.expect("a connection");
    let found = search(&mut conn, "seldom777", &window).await.expect("found");
    assert_eq!(found.len(), 27);
}

#[tokio::test]
async fn a_search_looks_at_each_number_once_and_at_the_latest_first() {
    const TURNS: &str = "
        SELECT bool_and(CASE turn WHEN 1 THEN start <= $1 AND behind > $1 ELSE behind = before END),
               (array_agg(start ORDER BY turn DESC))[1], count(*),
               coalesce(bool_and(slot = ANY(post_slots(start)) AND slot = ANY(post_slots(behind - 1))
                                 AND slot <> ALL(post_slots(behind))) FILTER (WHERE slot IS NOT NULL), false)
        FROM (SELECT turn, slot, start, behind, lag(start) OVER (ORDER BY turn) AS before
              FROM search_turns($2, '{}', $1) AS turns,
                   LATERAL (SELECT 1024 << (slot % 4 * 3)) AS one (size),
                   LATERAL (SELECT coalesce((slot / 4)::bigint * size, 0),
                                   coalesce((slot / 4 + 1)::bigint * size, turns.before)) AS two (start, behind)) AS turns";
    let db = TestDb::create().await;
    let sql = connect(&db.url).await;
    let words = "INSERT INTO words (name, post_count, created_at, updated_at)
                 SELECT 'in' || count, count, '2026-01-01', '2026-01-01'
                 FROM unnest(ARRAY[100, 900, 50000, 90000, 1000000, 9000000]) AS count";
    sql.batch_execute(words).await.expect("inserted");
    let large = 524_288_i64;
    for text in [
        "in9000000",
        "in1000000",
        "in90000",
        "in50000",
        "in900",
        "in50000 in50000",
        "in0",
        "in100 in9000000",
    ] {
        for last in
            [1, 1023, 1024, 65_535, 65_536, large - 1, large, 2 * large, 5 * large + 77, 10_000_000]
        {
            let what = format!("{text} up to {last}");
            let row = sql.query_one(TURNS, &[&last, &text]).await.expect("asked");
            assert!(row.get::<_, bool>(0) && row.get::<_, bool>(3), "{what}");
            assert_eq!(row.get::<_, i64>(1), 0, "{what}");
            assert!(row.get::<_, i64>(2) <= 48 + last / large, "{what}");
        }
    }
    // Of many the first slot is small, of some large; few are not looked for in slots but the latest.
    for (text, size, turns) in
        [("in9000000", 0, 57), ("in50000", 2, 27), ("in900", 3, 3), ("in50000 in50000", 3, 3)]
    {
        let count = "SELECT min(slot % 4), count(*) FROM search_turns($1, '{}', 10000000)";
        let row = sql.query_one(count, &[&text]).await.expect("asked");
        assert_eq!((row.get::<_, i32>(0), row.get::<_, i64>(1)), (size, turns), "{text}");
    }
}

#[tokio::test]
async fn every_sort_and_filter_of_many_posts_is_cheap() {
    let (app, _db) = many().await;
    let with = |change: fn(&mut PostFilter)| {
        let mut filter = PostFilter::default();
        change(&mut filter);
        filter
    };
    let time = |text: &str| text.parse().ok();
    let filters = [
        PostFilter::default(),
        with(|filter| filter.search = Some("third".to_owned())),
        with(|filter| filter.search = Some("seldom77".to_owned())),
        with(|filter| filter.search = Some("none".to_owned())),
        with(|filter| filter.search = Some("01975b2e-7c40-7000-8000-000000000001".to_owned())),
        with(|filter| filter.state = Some(PostState::Published)),
        with(|filter| filter.state = Some(PostState::Hidden)),
        with(|filter| filter.author_id = Some(author(0))),
        with(|filter| filter.author_id = Some(author(98))),
        with(|filter| filter.tag = Some("often".to_owned())),
        with(|filter| filter.tag = Some("tag-77".to_owned())),
        with(|filter| filter.is_reported = Some(true)),
        with(|filter| filter.is_reported = Some(false)),
        PostFilter { created_from: time("2026-01-08T20:00:00Z"), ..PostFilter::default() },
        PostFilter { created_to: time("2026-01-01T00:10:00Z"), ..PostFilter::default() },
        PostFilter { published_from: time("2026-01-08T20:00:00Z"), ..PostFilter::default() },
        PostFilter { published_to: time("2026-01-01T00:10:00Z"), ..PostFilter::default() },
    ];
    for filter in filters {
        let mut conn = app.core.db.conn().await.expect("a connection");
        let lines: Vec<String> =
            Explain(counted(&filter)).load(&mut conn).await.expect("explained");
        assert_cheap(&lines, &format!("count of {filter:?}"));
        for sort in ["created_at", "-created_at", "-updated_at", "published_at", "-published_at"] {
            let sort = Sort::<PostSort>::parse(sort).expect("a sort");
            let what = format!("{sort} of {filter:?}");
            let window = Window { sort, behind: None, offset: 0, limit: 21 };
            let query = Explain(listed(&filter, &window));
            let lines: Vec<String> = query.load(&mut conn).await.expect("explained");
            assert_cheap(&lines, &what);
        }
    }
}
