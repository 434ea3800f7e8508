//! The schema: rules for every table, and each migration up and down.

use twofold::db::migrations;

use crate::support::{TestDb, cluster::connect};

#[tokio::test(flavor = "multi_thread")]
async fn every_time_has_a_zone_and_every_table_its_times() {
    let db = TestDb::create().await;
    let client = connect(&db.url).await;
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns \
               WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations' \
               AND data_type IN ('timestamp without time zone', 'time without time zone')";
    let naive = client.query(sql, &[]).await.expect("asked");
    assert!(naive.is_empty(), "{:?}", naive.first().map(|row| row.get::<_, String>(0)));

    let sql = "SELECT t.table_name FROM information_schema.tables t \
               WHERE t.table_schema = 'public' AND t.table_name <> '__diesel_schema_migrations' \
               AND 2 <> (SELECT count(*) FROM information_schema.columns c \
                         WHERE c.table_schema = 'public' AND c.table_name = t.table_name \
                         AND c.column_name IN ('created_at', 'updated_at') AND c.is_nullable = 'NO' \
                         AND c.data_type = 'timestamp with time zone')";
    let without = client.query(sql, &[]).await.expect("asked");
    assert!(without.is_empty(), "{:?}", without.first().map(|row| row.get::<_, String>(0)));
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert!(client.query_one(tables, &[]).await.expect("asked").get::<_, i64>(0) >= 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_migration_goes_down_and_up_again() {
    let db = TestDb::create().await;
    let url = db.url.clone().into();
    let all = migrations::status(&url).await.expect("status");
    assert!(all.len() >= 3 && all.iter().all(|migration| migration.applied));
    let mut reverted = Vec::new();
    while let Some(version) = migrations::down(&url).await.expect("down") {
        reverted.push(version);
    }
    assert_eq!(reverted.len(), all.len());
    assert!(migrations::status(&url).await.expect("status").iter().all(|m| !m.applied));
    let client = connect(&db.url).await;
    let tables = "SELECT count(*) FROM information_schema.tables \
                  WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations'";
    assert_eq!(client.query_one(tables, &[]).await.expect("asked").get::<_, i64>(0), 0);

    // Ten at once: one applies them, the others wait and find nothing to do.
    let applied = futures_util::future::join_all((0..10).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { migrations::up(&url).await.expect("up").len() })
    }));
    let applied: usize = applied.await.into_iter().map(|count| count.expect("ran")).sum();
    assert_eq!(applied, all.len());
}
