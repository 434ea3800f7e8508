//! The seals of the audit log: what was changed is found, late commits are not left out, retention keeps the chain.

use chrono::{Months, TimeDelta};
use serde_json::{Value, json};
use tokio_postgres::{Client, error::SqlState};
use twofold::{
    adapters::random::Random,
    db::{Origin, Tx},
    services::audit::{
        self, Action, Entry, Subject,
        seals::{drop_old, seal},
        verify::{Finding, Head, Report, verify},
    },
};
use uuid::Uuid;

use crate::support::{
    TestApp, TestDb,
    app::{ADMIN, PASSWORD},
    cluster::connect,
    program::{dir, run, stderr, stdout},
};

const SECRET: &str = "a secret of the log that nobody has written down";

fn origin() -> Origin {
    Origin::system("test")
}

async fn start(db: &TestDb) -> TestApp {
    TestApp::builder()
        .database_url(&db.url)
        .setting("TWOFOLD_JOBS__IN_PROCESS", "false")
        .setting("TWOFOLD_AUTH__DATA_SECRET", SECRET)
        .start()
        .await
}

/// Records that a user was suspended, who is not there.
async fn record(app: &TestApp, tx: &mut Tx, user: u128, reason: &str) {
    let entry = Entry::new(Action::UserSuspended, Subject::User(Uuid::from_u128(user)));
    audit::record(&app.core, tx, entry.because(reason)).await.expect("recorded");
}

async fn record_one(app: &TestApp, user: u128) {
    app.clock.advance(TimeDelta::seconds(1));
    let mut tx = app.core.db.begin(&origin()).await.expect("begun");
    record(app, &mut tx, user, "a reason").await;
    tx.commit().await.expect("committed");
}

async fn seal_all(app: &TestApp, at_once: i64) -> usize {
    let mut sealed = 0;
    loop {
        match seal(&app.core, &origin(), at_once).await.expect("sealed") {
            0 => break sealed,
            count => sealed += count,
        }
    }
}

async fn report(app: &TestApp) -> Report {
    verify(&app.core, None).await.expect("verified")
}

async fn ids(client: &Client) -> Vec<Uuid> {
    let sql = "SELECT id::text FROM audit_logs ORDER BY created_at, id";
    let rows = client.query(sql, &[]).await.expect("asked");
    rows.iter().map(|row| row.get::<_, &str>(0).parse().expect("an id")).collect()
}

#[tokio::test]
async fn c19_what_was_changed_after_the_seal_is_found_and_named() {
    let db = TestDb::create().await;
    let app = start(&db).await;
    for user in 1..=9 {
        record_one(&app, user).await;
    }
    assert_eq!(seal_all(&app, 4).await, 9);
    let whole = report(&app).await;
    assert_eq!((whole.segments, whole.sealed, whole.unsealed), (3, 9, 0), "{whole:?}");
    assert!(whole.findings.is_empty(), "{whole:?}");
    let head = whole.head.clone().expect("a head");
    // As the owner of the tables, who has put the triggers aside.
    let client = connect(&db.url).await;
    client.batch_execute("SET session_replication_role = replica").await.expect("set");
    let keep =
        "CREATE TABLE kept_logs AS TABLE audit_logs; CREATE TABLE kept_seals AS TABLE audit_seals";
    client.batch_execute(keep).await.expect("kept");
    let back = "DELETE FROM audit_logs; INSERT INTO audit_logs TABLE kept_logs;
                DELETE FROM audit_seals; INSERT INTO audit_seals TABLE kept_seals";
    let all = ids(&client).await;
    let (a, b, last) = (all[1], all[2], all[8]);
    let both =
        vec![Finding::Reordered { id: a, place_of: b }, Finding::Reordered { id: b, place_of: a }];
    let swap = |columns: &str, from: &str| {
        format!(
            "UPDATE audit_logs SET {columns} = (SELECT {from} FROM kept_logs WHERE id = CASE audit_logs.id \
             WHEN '{a}' THEN '{b}'::uuid ELSE '{a}' END) WHERE id IN ('{a}', '{b}')"
        )
    };
    let content = "(actor_kind, actor_id, request_id, action, subject_kind, subject_id, reason)";
    let bare = content.trim_matches(['(', ')']);
    let edited = |id| vec![Finding::Edited { id }];
    for (change, expected) in [
        (format!("UPDATE audit_logs SET action = 'user.reactivated' WHERE id = '{a}'"), edited(a)),
        (format!("UPDATE audit_logs SET reason = 'another' WHERE id = '{a}'"), edited(a)),
        (format!("UPDATE audit_logs SET reason = NULL WHERE id = '{a}'"), edited(a)),
        (format!("UPDATE audit_logs SET ip_address = '192.0.2.1' WHERE id = '{a}'"), edited(a)),
        (format!("UPDATE audit_logs SET after = '{{}}' WHERE id = '{a}'"), edited(a)),
        (format!("UPDATE audit_logs SET actor_id = id WHERE id = '{last}'"), edited(last)),
        (
            format!("UPDATE audit_logs SET created_at = created_at + interval '1 day' WHERE id = '{a}'"),
            edited(a),
        ),
        (format!("DELETE FROM audit_logs WHERE id = '{a}'"), vec![Finding::Deleted { id: a }]),
        (swap("created_at", "created_at"), both.clone()),
        (swap(content, bare), both),
        (
            "INSERT INTO audit_logs SELECT '01975b2e-7c40-7000-8000-000000000009', actor_kind, actor_id, \
             impersonator_id, session_id, request_id, action, subject_kind, subject_id, ip_address, user_agent, \
             reason, before, after, erased_at, created_at, updated_at FROM audit_logs LIMIT 1"
                .to_owned(),
            vec![Finding::Inserted { id: "01975b2e-7c40-7000-8000-000000000009".parse().expect("an id") }],
        ),
        (
            "UPDATE audit_seals SET ids = ids[2:2] || ids[1:1] || ids[3:], details = details[2:2] || details[1:1] || \
             details[3:], leaves = leaves[2:2] || leaves[1:1] || leaves[3:] WHERE number = 2"
                .to_owned(),
            vec![Finding::SegmentChanged { number: 2 }],
        ),
        // A row and its segment's share of it.
        (
            format!(
                "DELETE FROM audit_logs WHERE id = '{last}'; \
                 UPDATE audit_seals SET ids = '{{}}', details = '{{}}', leaves = '{{}}' WHERE number = 3"
            ),
            vec![Finding::SegmentChanged { number: 3 }],
        ),
    ] {
        client.batch_execute(&change).await.expect(&change);
        let found = report(&app).await.findings;
        assert_eq!(found, expected, "{change}");
        client.batch_execute(back).await.expect("put back");
    }
    assert_eq!(report(&app).await.findings, []);

    client.batch_execute("DELETE FROM audit_seals WHERE number = 2").await.expect("deleted");
    let found = report(&app).await.findings;
    assert_eq!(found[0], Finding::SegmentDeleted { number: 2 });
    let unknown = found.iter().filter(|found| matches!(found, Finding::Inserted { .. })).count();
    assert_eq!(unknown, 4, "{found:?}");
    client.batch_execute(back).await.expect("put back");

    // An end that is cut off is missed by who has noted it.
    let cut = format!(
        "DELETE FROM audit_seals WHERE number = 3; DELETE FROM audit_logs WHERE id = '{last}'"
    );
    client.batch_execute(&cut).await.expect("cut");
    assert_eq!(report(&app).await.findings, []);
    let found = verify(&app.core, Some(&head)).await.expect("verified").findings;
    assert_eq!(found, [Finding::SegmentDeleted { number: 3 }]);
    client.batch_execute(back).await.expect("put back");
    assert_eq!(verify(&app.core, Some(&head)).await.expect("verified").findings, []);
    let earlier = Head { number: 2, seal: head.seal };
    let found = verify(&app.core, Some(&earlier)).await.expect("verified").findings;
    assert_eq!(found, [Finding::SegmentDeleted { number: 2 }], "another seal than that one had");
}

#[tokio::test]
async fn c19_a_transaction_that_commits_late_is_sealed_later() {
    let db = TestDb::create().await;
    let app = start(&db).await;
    let mut late = app.core.db.begin(&origin()).await.expect("begun");
    record(&app, &mut late, 1, "late").await;
    let mut lost = app.core.db.begin(&origin()).await.expect("begun");
    record(&app, &mut lost, 2, "rolled back").await;
    for user in 3..=5 {
        record_one(&app, user).await;
    }
    assert_eq!(seal_all(&app, 100).await, 3);
    drop(lost);
    late.commit().await.expect("committed");
    assert_eq!(report(&app).await.unsealed, 1);
    assert_eq!(seal_all(&app, 100).await, 1);
    let found = report(&app).await;
    assert_eq!((found.sealed, found.segments, found.unsealed), (4, 2, 0), "{found:?}");
    assert!(found.findings.is_empty(), "{found:?}");
    // What waits is looked after as well.
    record_one(&app, 6).await;
    let client = connect(&db.url).await;
    let sql = "SET session_replication_role = replica; \
               DELETE FROM audit_logs WHERE id = (SELECT id FROM audit_unsealed)";
    client.batch_execute(sql).await.expect("deleted");
    assert!(matches!(report(&app).await.findings[..], [Finding::Deleted { .. }]));
}

#[tokio::test]
async fn c19_several_who_seal_at_once_make_one_chain() {
    let db = TestDb::create().await;
    let app = start(&db).await;
    for user in 1..=20 {
        record_one(&app, user).await;
    }
    let origin = origin();
    let all = futures_util::future::join_all((0..4).map(|_| seal(&app.core, &origin, 5))).await;
    assert!(all.iter().any(Result::is_ok));
    seal_all(&app, 5).await;
    let found = report(&app).await;
    assert_eq!((found.sealed, found.unsealed, found.findings), (20, 0, Vec::new()));
}

#[tokio::test]
async fn c19_retention_drops_months_and_keeps_the_chain() {
    let db = TestDb::create().await;
    let app = start(&db).await;
    let client = connect(&db.url).await;
    let partitions = async || {
        let sql = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass";
        client.query_one(sql, &[]).await.expect("asked").get::<_, i64>(0)
    };
    for month in 0..30 {
        record_one(&app, month).await;
        assert_eq!(seal_all(&app, 100).await, 1);
        assert_eq!(month >= 25, drop_old(&app.core, &origin()).await.expect("dropped"), "{month}");
        let found = report(&app).await;
        assert!(found.findings.is_empty(), "{month}: {found:?}");
        let next = app.clock.now().checked_add_months(Months::new(1)).expect("a time");
        app.clock.advance(next - app.clock.now());
    }
    let found = report(&app).await;
    assert_eq!((found.sealed, partitions().await), (25, 25), "{found:?}");
    assert!(found.since.is_some());
    // What is not sealed is not dropped.
    record_one(&app, 99).await;
    app.clock.advance(TimeDelta::days(1000));
    drop_old(&app.core, &origin()).await.expect_err("not sealed");
    seal_all(&app, 100).await;
    assert!(drop_old(&app.core, &origin()).await.expect("dropped"));
    let found = report(&app).await;
    assert_eq!((found.sealed, found.segments, &found.findings[..]), (0, 1, &[][..]), "{found:?}");
    record_one(&app, 100).await;
    seal_all(&app, 100).await;
    let found = report(&app).await;
    assert_eq!((found.sealed, found.segments, &found.findings[..]), (1, 2, &[][..]), "{found:?}");
    // The mark is part of the chain.
    let later = "SET session_replication_role = replica; \
                 UPDATE audit_seals SET dropped_before = dropped_before + interval '1000 days'
                 WHERE dropped_before IS NOT NULL; DELETE FROM audit_logs";
    client.batch_execute(later).await.expect("changed");
    let found = report(&app).await.findings;
    assert!(matches!(found[..], [Finding::SegmentChanged { .. }]), "{found:?}");
}

#[tokio::test]
async fn c19_details_are_erased_with_accounts_only() {
    let db = TestDb::create().await;
    let app = start(&db).await;
    let client = connect(&db.url).await;
    let sql = "INSERT INTO users (id, email, password_hash, status, created_at, updated_at)
               VALUES ('00000000-0000-0000-0000-000000000001', 'a@example.com', 'x', 'active', now(), now())";
    client.batch_execute(sql).await.expect("inserted");
    record_one(&app, 1).await;
    record_one(&app, 2).await;
    seal_all(&app, 100).await;
    let erase = "SELECT erase_audit_details(ARRAY['00000000-0000-0000-0000-000000000001', \
                 '00000000-0000-0000-0000-000000000002']::uuid[], now())";
    client.batch_execute(erase).await.expect("erased");
    let found = report(&app).await;
    assert_eq!(
        (found.sealed, found.erased, &found.findings[..]),
        (2, 1, &[][..]),
        "of who is there nothing"
    );
    let by_hand = "SET session_replication_role = replica; UPDATE audit_logs SET ip_address = NULL, reason = NULL, \
                   before = NULL, after = NULL, user_agent = NULL, erased_at = now()";
    client.batch_execute(by_hand).await.expect("erased");
    let first = ids(&client).await[0];
    assert_eq!(report(&app).await.findings, [Finding::Erased { id: first }]);
}

#[tokio::test]
async fn c19_the_role_of_the_application_can_record_and_nothing_else() {
    let db = TestDb::create().await;
    let role = format!("application_{}", &Random.token()[..16]);
    let owner = connect(&db.url).await;
    owner.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await.expect("made");
    let url = db.url.replace("user=twofold", &format!("user={role}"));
    let (owner_url, application_url) = (db.url.clone().into(), url.clone().into());
    twofold::db::migrations::grant(&owner_url, &application_url).await.expect("granted");

    let app = TestApp::builder()
        .database_url(&url)
        .setting("DATABASE_DIRECT_URL", &db.url)
        .setting("TWOFOLD_AUTH__DATA_SECRET", SECRET)
        .start();
    let mut app = app.await;
    app.clock.advance(TimeDelta::days(400));
    let staff = app.admin_token().await;
    let user = app.user_token("ada@example.com").await;
    let change = json!({"current_password": PASSWORD, "new_password": "another horse battery"});
    let change = app.post("/api/v1/users/me/change-password", change).bearer(&user);
    change.send().await.assert_done();
    let list = app.get("/api/v1/backoffice/audit-logs").bearer(&staff).send().await.data();
    assert_eq!(list["items"][0]["action"], "user.password_changed");
    app.stop_background().await;
    seal_all(&app, 100).await;
    assert_eq!(report(&app).await.findings, []);

    let client = connect(&url).await;
    let partition = app.clock.now().format("audit_logs_%Y_%m").to_string();
    let mut refused = vec![
        "INSERT INTO audit_logs TABLE audit_logs".to_owned(),
        "INSERT INTO audit_unsealed TABLE audit_unsealed".to_owned(),
        "SELECT grant_to_application(current_user)".to_owned(),
        "ALTER TABLE audit_logs DISABLE TRIGGER ALL".to_owned(),
        format!("DROP TABLE {partition}"),
        format!("ALTER TABLE audit_logs DETACH PARTITION {partition}"),
        "SET session_replication_role = replica".to_owned(),
    ];
    for table in ["audit_logs", "audit_seals", partition.as_str()] {
        refused.push(format!(
            "SET twofold.changes_audit = 'on'; UPDATE {table} SET created_at = created_at"
        ));
        refused.push(format!("SET twofold.changes_audit = 'on'; DELETE FROM {table}"));
        refused.push(format!("TRUNCATE {table}"));
    }
    for change in refused {
        let refused = client.batch_execute(&change).await.expect_err(&change);
        assert_eq!(refused.code().map(SqlState::code), Some("42501"), "{change}: {refused}");
    }
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    drop_role(&owner, app, client, &drop).await;
}

/// When nobody is connected by it any more.
async fn drop_role(owner: &Client, app: TestApp, client: Client, drop: &str) {
    std::mem::drop((app, client));
    owner.batch_execute(drop).await.expect("dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn c19_the_command_names_what_was_changed_and_fails() {
    let db = TestDb::create().await;
    let app = start(&db).await;
    app.add_admin().await;
    record_one(&app, 1).await;
    seal_all(&app, 100).await;
    let dir = dir();
    let secret = [("DATABASE_URL", db.url.as_str()), ("TWOFOLD_AUTH__DATA_SECRET", SECRET)];
    let whole = run(dir.path(), &["audit", "verify"], &secret);
    assert!(whole.status.success(), "{}", stderr(&whole));
    let text = stdout(&whole);
    assert!(text.starts_with("2 entries in 1 segments are as they were sealed"), "{text}");
    let head =
        text.lines().find_map(|line| line.strip_prefix("head: ")).expect("a head").to_owned();
    let known = run(dir.path(), &["audit", "verify", "--head", &head], &secret);
    assert!(known.status.success(), "{}", stderr(&known));
    let not_one = run(dir.path(), &["audit", "verify", "--head", "x"], &secret);
    assert_eq!(not_one.status.code(), Some(2));

    let client = connect(&db.url).await;
    let edit = format!(
        "SET session_replication_role = replica; \
         UPDATE audit_logs SET after = jsonb_build_object('email', 'eve@example.com') WHERE after->>'email' = '{ADMIN}'"
    );
    client.batch_execute(&edit).await.expect("edited");
    let id = ids(&client).await[0];
    let found = run(dir.path(), &["audit", "verify"], &secret);
    assert_eq!(found.status.code(), Some(1));
    assert!(stdout(&found).contains(&format!("entry {id} was edited")), "{}", stdout(&found));
    assert!(stderr(&found).contains("not as it was sealed: 1 findings"), "{}", stderr(&found));
    let found = run(dir.path(), &["audit", "verify", "--json"], &secret);
    let json: Value = serde_json::from_str(&stdout(&found)).expect("JSON");
    assert_eq!(json["findings"], json!([{"change": "edited", "id": id.to_string()}]));
    // Who doesn't have the secret can't seal.
    let other =
        [secret[0], ("TWOFOLD_AUTH__DATA_SECRET", "another secret that nobody has written down")];
    assert_eq!(run(dir.path(), &["audit", "verify"], &other).status.code(), Some(1));
}
