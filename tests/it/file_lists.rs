//! Lists of files, when there are many: what PostgreSQL reads for a page.

use diesel::{
    pg::Pg,
    query_builder::{Query, QueryFragment},
};
use diesel_async::RunQueryDsl;
use twofold::db::{
    file_spaces::{self, FileSpaceSort},
    files::{
        FileFilter, FilePurpose, FileSort, FileState, ManagedFileSort, OwnFileFilter, counted,
        listed, listed_own,
    },
    keyset::{Sort, SortValue, Sortable, Window},
};
use uuid::Uuid;

use crate::support::{
    TestApp, TestDb,
    explain::{Explain, assert_cheap, read},
};

/// 40,000 files of 20,000 users, of whom the first has 1000. Of 100 one is a picture of a user, one is pending and one a
/// video; every second one is a PDF.
const MANY: &str = "
    INSERT INTO users (id, email, password_hash, status, created_at, updated_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '@example.com', 'x', 'active',
           '2026-01-01', '2026-01-01'
    FROM generate_series(0, 19999) n;
    INSERT INTO file_spaces (id, user_id, files, bytes, created_at, updated_at)
    SELECT gen_random_uuid(), id, n % 1000, n * 7919 % 100000, created_at, created_at
    FROM (SELECT id, created_at, row_number() OVER () AS n FROM users) AS numbered;
    INSERT INTO files (id, owner_id, purpose, name, content_type, size, state, upload_key, key, expires_at, created_at,
                       updated_at)
    SELECT gen_random_uuid(),
           ('00000000-0000-7000-8000-' || lpad((CASE WHEN n % 40 = 0 THEN 0 ELSE n % 20000 END)::text, 12, '0'))::uuid,
           CASE n % 100 WHEN 1 THEN 'avatar' ELSE 'attachment' END, 'x',
           CASE WHEN n % 100 = 3 THEN 'video/mp4' WHEN n % 2 = 0 THEN 'application/pdf' ELSE 'image/png' END,
           1 + n * 7919 % 100000, CASE n % 100 WHEN 2 THEN 'pending' ELSE 'ready' END, 'uploads/' || n,
           CASE WHEN n % 100 <> 2 THEN 'files/' || n END, CASE WHEN n % 100 = 2 THEN timestamptz '2026-02-01' END,
           timestamptz '2026-01-01' + make_interval(secs => n * 17), '2026-01-01'
    FROM generate_series(1, 40000) n";

async fn many() -> (TestApp, TestDb) {
    TestApp::with_rows(&[MANY, "VACUUM ANALYZE files, file_spaces"]).await
}

fn user(number: u128) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 + number)
}

/// No costly step, and of files no more than these are read.
async fn assert_reads(
    app: &TestApp,
    most: f64,
    what: &str,
    query: impl Query + QueryFragment<Pg> + Send,
) {
    let mut conn = app.core.db.conn().await.expect("a connection");
    let lines: Vec<String> = Explain(query).load(&mut conn).await.expect("explained");
    assert_cheap(&lines, what);
    let of_files = |index: &usize| lines[*index].contains(" on file");
    let total: f64 = (0..lines.len()).filter(of_files).map(|index| read(&lines, index)).sum();
    assert!(total <= most, "{what}: {lines:#?}");
}

fn window<S: Sortable>(sort: &str, behind: Option<SortValue>) -> Window<S> {
    let behind = behind.map(|value| vec![value, SortValue::Id(user(7))]);
    Window { sort: Sort::parse(sort).expect("a sort"), behind, offset: 0, limit: 21 }
}

/// In the middle of the list.
fn middle() -> SortValue {
    SortValue::Time("2026-01-04T22:00:00Z".parse().expect("a time"))
}

#[tokio::test]
async fn every_page_of_ones_own_files_is_cheap() {
    let (app, _db) = many().await;
    for owner_id in [user(0), user(7), user(4)] {
        for (purpose, state) in [
            (None, None),
            (Some(FilePurpose::Attachment), None),
            (Some(FilePurpose::Avatar), None),
            (None, Some(FileState::Pending)),
            (None, Some(FileState::Failed)),
            (Some(FilePurpose::Attachment), Some(FileState::Ready)),
        ] {
            let filter = OwnFileFilter { owner_id, purpose, state };
            for sort in ["created_at", "-created_at"] {
                for behind in [None, Some(middle())] {
                    let window = window::<FileSort>(sort, behind);
                    // Those of one user at most, of which there is a quota.
                    let what = format!("{sort} of {filter:?}");
                    assert_reads(&app, 10_001.0, &what, listed_own(filter, &window)).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn every_sort_and_filter_of_many_files_is_cheap() {
    let (app, _db) = many().await;
    let with = |change: fn(&mut FileFilter)| {
        let mut filter = FileFilter::default();
        change(&mut filter);
        filter
    };
    let time = |text: &str| text.parse().ok();
    let filters = [
        FileFilter::default(),
        with(|filter| filter.owner_id = Some(user(0))),
        with(|filter| filter.owner_id = Some(user(7))),
        with(|filter| filter.owner_id = Some(user(99_999))),
        with(|filter| filter.content_type = Some("application/pdf")),
        with(|filter| filter.content_type = Some("video/mp4")),
        with(|filter| filter.content_type = Some("audio/mpeg")),
        with(|filter| filter.purpose = Some(FilePurpose::Attachment)),
        with(|filter| filter.purpose = Some(FilePurpose::Avatar)),
        with(|filter| filter.purpose = Some(FilePurpose::PostCover)),
        with(|filter| filter.state = Some(FileState::Ready)),
        with(|filter| filter.state = Some(FileState::Pending)),
        with(|filter| filter.state = Some(FileState::Failed)),
        with(|filter| filter.size_from = Some(99_900)),
        with(|filter| filter.size_to = Some(100)),
        with(|filter| filter.size_from = Some(100)),
        FileFilter { created_from: time("2026-01-08T20:00:00Z"), ..FileFilter::default() },
        FileFilter { created_to: time("2026-01-01T00:10:00Z"), ..FileFilter::default() },
    ];
    for filter in filters {
        assert_reads(&app, 10_001.0, &format!("count of {filter:?}"), counted(&filter)).await;
        for sort in ["created_at", "-created_at", "size", "-size"] {
            let value = if sort.ends_with("size") { SortValue::Number(50_000) } else { middle() };
            for behind in [None, Some(value)] {
                let window = window::<ManagedFileSort>(sort, behind);
                let what = format!("{sort} of {filter:?}");
                assert_reads(&app, 10_001.0, &what, listed(&filter, &window)).await;
            }
        }
    }
}

#[tokio::test]
async fn every_page_of_what_users_have_filled_is_cheap() {
    let (app, _db) = many().await;
    for sort in ["bytes", "-bytes", "files", "-files"] {
        for behind in [None, Some(SortValue::Number(500))] {
            let window = window::<FileSpaceSort>(sort, behind);
            assert_reads(&app, 100.0, sort, file_spaces::listed(&window)).await;
        }
    }
}
