//! Lists as files of comma-separated values.

use chrono::TimeDelta;
use twofold::{
    db::Origin,
    services::audit::{self, Action, Entry, Subject},
};
use uuid::Uuid;

use crate::support::TestApp;

const EXPORT: &str = "/api/v1/backoffice/audit-logs/export";

#[tokio::test]
async fn an_export_has_each_row_once_in_order_and_no_formula() {
    /// More than two windows.
    const COUNT: usize = 2345;
    let app = TestApp::start().await;
    let token = app.admin_token().await;
    app.clock.advance(TimeDelta::seconds(1));
    let mut tx = app.core.db.begin(&Origin::system("test")).await.expect("begun");
    for _ in 0..COUNT {
        let subject = Subject::User(Uuid::from_u128(1));
        let entry = Entry::new(Action::UserSuspended, subject).because("=1+1, \"quoted\"\n@");
        audit::record(&app.core, &mut tx, entry).await.expect("recorded");
    }
    tx.commit().await.expect("committed");
    let query = format!("?subject=user:{}", Uuid::from_u128(1));
    let file = app.get(&format!("{EXPORT}{query}")).bearer(&token).send().await;
    assert_eq!((file.status, file.header("content-type")), (200, "text/csv"));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"audit-logs.csv\"");
    assert_eq!(file.header("cache-control"), "no-store");
    let (head, rows) = file.text.split_once("\r\n").expect("lines");
    assert!(head.starts_with("id,created_at,action,actor_kind,"), "{head}");
    let rows: Vec<&str> = rows.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), COUNT);
    let ids: Vec<&str> = rows.iter().map(|row| row.split(',').next().expect("an id")).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "newest first, each once");
    for row in rows {
        assert!(row.contains(",\"'=1+1, \"\"quoted\"\"\n@\","), "{row}");
    }

    let none = app.get(&format!("{EXPORT}?subject=user:nobody")).bearer(&token).send().await;
    assert_eq!(none.text, format!("{head}\r\n"));
    let faults = app.get(&format!("{EXPORT}?action=A")).bearer(&token).send().await.faults();
    assert_eq!(faults, [("action".to_owned(), "pattern".to_owned())]);
    app.get(EXPORT).send().await.assert_error(401, "unauthenticated");
}
