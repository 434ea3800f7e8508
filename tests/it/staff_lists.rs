//! Lists of staff and of invitations, when there are many: what PostgreSQL reads for a page.

use chrono::{DateTime, Utc};
use diesel::query_builder::{Query, QueryFragment};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use twofold::db::{
    admins::{self, AdminFilter, AdminSort, AdminStatus},
    invitations::{self, InvitationFilter, InvitationSort, InvitationStatus},
    keyset::{Sort, SortValue, Sortable, Window},
};
use uuid::Uuid;

use crate::support::{
    TestApp, TestDb,
    cluster::connect,
    explain::{Explain, assert_cheap},
};

/// When the lists are asked for.
const NOW: &str = "2026-03-01T00:00:00Z";

/// 1,000 members of the staff, each with 50 sessions in the last month, of which a few are open; half have one role, ten
/// another. 5,000 invitations, of which 50 are pending.
const MANY: [&str; 4] = [
    "INSERT INTO admins (id, email, name, password_hash, status, last_login_at, created_at, updated_at)
     SELECT ('01975b2e-7c40-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'staff' || n || '@example.com',
            (ARRAY['Ada', 'Bob', 'Carol'])[1 + n % 3], 'x',
            CASE n % 50 WHEN 0 THEN 'deactivated' ELSE 'active' END,
            CASE WHEN n % 10 <> 0 THEN timestamptz '2026-02-01' + make_interval(secs => n * 7919 % 100000) END,
            timestamptz '2026-01-01' + make_interval(secs => n * 17), timestamptz '2026-01-01'
     FROM generate_series(1, 1000) n",
    "INSERT INTO admin_roles (admin_id, role_id, created_at, updated_at)
     SELECT admins.id, roles.id, admins.created_at, admins.created_at
     FROM admins, roles
     WHERE (roles.name = 'support' AND right(admins.id::text, 1) < '5')
        OR (roles.name = 'auditor' AND right(admins.id::text, 2) = '07')",
    "INSERT INTO admin_sessions (id, account_id, refresh_token_id, refresh_token_hash, refresh_issued_at,
                                 refresh_expires_at, expires_at, revoked_at, created_at, updated_at)
     SELECT gen_random_uuid(), ('01975b2e-7c40-7000-8000-' || lpad((1 + n % 1000)::text, 12, '0'))::uuid,
            gen_random_uuid(), decode(md5(n::text), 'hex'), moment, moment + interval '1 hour',
            moment + interval '1 day', CASE n % 3 WHEN 0 THEN moment + interval '10 minutes' END, moment, moment
     FROM generate_series(0, 49999) n,
          LATERAL (SELECT timestamptz '2026-03-01' - make_interval(secs => n * 52)) AS at (moment)",
    "INSERT INTO invitations (id, email, name, token_hash, status, expires_at, created_at, updated_at)
     SELECT gen_random_uuid(), 'staff' || n || '@example.com', (ARRAY['Ada', 'Bob', 'Carol'])[1 + n % 3],
            decode(md5(n::text), 'hex'), CASE WHEN n % 100 = 0 THEN 'pending' WHEN n % 7 = 0 THEN 'revoked'
                                              ELSE 'accepted' END,
            moment + interval '3 days', moment, moment
     FROM generate_series(1, 5000) n,
          LATERAL (SELECT timestamptz '2026-02-01' + make_interval(secs => n * 400)) AS at (moment)",
];

async fn many() -> (TestApp, TestDb) {
    let db = TestDb::create().await;
    let sql = connect(&db.url).await;
    for statement in MANY.into_iter().chain(["VACUUM ANALYZE"]) {
        sql.batch_execute(statement).await.expect("done");
    }
    (TestApp::builder().database_url(&db.url).start().await, db)
}

/// Each way in which a list can be sorted, from its beginning and from behind a row in its middle.
fn windows<S: Sortable>(place: impl Fn(&str) -> SortValue) -> Vec<(String, Window<S>)> {
    let mut windows = Vec::new();
    for column in S::COLUMNS {
        for sort in [column.name.to_owned(), format!("-{}", column.name)] {
            let parse = || Sort::<S>::parse(&sort).expect("a sort");
            let behind = vec![place(column.name), SortValue::Id(Uuid::from_u128(7))];
            let window = |behind| Window { sort: parse(), behind, offset: 0, limit: 21 };
            windows.push((format!("{sort} from the first"), window(None)));
            windows.push((format!("{sort} from the middle"), window(Some(behind))));
        }
    }
    windows
}

async fn assert_is_cheap<Q>(conn: &mut AsyncPgConnection, query: Q, what: &str)
where
    Q: Query + QueryFragment<diesel::pg::Pg> + Send,
{
    let lines: Vec<String> = Explain(query).load(conn).await.expect("explained");
    assert_cheap(&lines, what);
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

#[tokio::test]
async fn every_sort_and_filter_of_staff_is_cheap() {
    let (app, _db) = many().await;
    let mut conn = app.core.db.conn().await.expect("a connection");
    let some = AdminFilter::default;
    let search = |text: &str| AdminFilter { search: Some(text.to_owned()), ..some() };
    let role = |name: &str| AdminFilter { role: Some(name.to_owned()), ..some() };
    let filters = [
        some(),
        search("staff999@"),
        search("ada"),
        search("surely nobody"),
        role("support"),
        role("auditor"),
        role("surely none"),
        AdminFilter { status: Some(AdminStatus::Active), ..some() },
        AdminFilter { status: Some(AdminStatus::Deactivated), ..some() },
        AdminFilter { online: Some(true), ..some() },
        AdminFilter { online: Some(false), ..some() },
        AdminFilter { online: Some(true), ..role("support") },
    ];
    let place = |column: &str| match column {
        "created_at" => SortValue::Time(time("2026-01-01T02:22:00Z")),
        "last_login_at" => SortValue::Time(time("2026-02-01T12:00:00Z")),
        "email" => SortValue::Text("staff5@example.com".to_owned()),
        _ => SortValue::Text("Bob".to_owned()),
    };
    for filter in &filters {
        let counted = admins::counted(filter, time(NOW));
        assert_is_cheap(&mut conn, counted, &format!("count of {filter:?}")).await;
        for (which, window) in windows::<AdminSort>(place) {
            let listed = admins::listed(filter, time(NOW), &window);
            assert_is_cheap(&mut conn, listed, &format!("{which} of {filter:?}")).await;
        }
    }
}

#[tokio::test]
async fn every_sort_and_filter_of_invitations_is_cheap() {
    let (app, _db) = many().await;
    let mut conn = app.core.db.conn().await.expect("a connection");
    let some = InvitationFilter::default;
    let search = |text: &str| InvitationFilter { search: Some(text.to_owned()), ..some() };
    let with = |status| InvitationFilter { status: Some(status), ..some() };
    let filters = [
        some(),
        search("staff999@"),
        search("ada"),
        search("surely nobody"),
        with(InvitationStatus::Pending),
        with(InvitationStatus::Accepted),
        with(InvitationStatus::Revoked),
        InvitationFilter { status: Some(InvitationStatus::Pending), ..search("example") },
    ];
    let place = |column: &str| match column {
        "email" => SortValue::Text("staff3@example.com".to_owned()),
        _ => SortValue::Time(time("2026-02-15T12:00:00Z")),
    };
    for filter in &filters {
        let counted = invitations::counted(filter);
        assert_is_cheap(&mut conn, counted, &format!("count of {filter:?}")).await;
        for (which, window) in windows::<InvitationSort>(place) {
            let listed = invitations::listed(filter, &window);
            assert_is_cheap(&mut conn, listed, &format!("{which} of {filter:?}")).await;
        }
    }
}
