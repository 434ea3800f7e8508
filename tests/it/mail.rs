//! Mail: a row in the transaction, sent afterwards, at least once, by SMTP or to the outbox.

use chrono::TimeDelta;
use serde_json::json;
use tokio_postgres::Client;

use crate::support::{
    TestApp, TestDb,
    app::PASSWORD,
    cluster::connect,
    smtp::{Received, SmtpServer},
    wait,
};

pub async fn register(app: &TestApp, email: &str) {
    let body = json!({"email": email, "password": PASSWORD});
    app.post("/api/v1/auth/register", body).send().await.assert_done();
}

pub async fn received(server: &SmtpServer, count: usize) -> Vec<Received> {
    wait(async || Some(server.received()).filter(|mails| mails.len() >= count)).await
}

/// State, attempts, and whether there is a body, by recipient.
pub async fn row(db: &Client, recipient: &str) -> (String, i32, bool) {
    let sql = "SELECT state, attempts, body IS NOT NULL FROM mails WHERE recipient = $1";
    let row = db.query_one(sql, &[&recipient]).await.expect("one mail");
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn a_mail_goes_out_by_smtp_and_loses_its_body() {
    let (server, db) = (SmtpServer::start(&[]), TestDb::create().await);
    let app =
        TestApp::builder().database_url(&db.url).setting("SMTP_URL", &server.url()).start().await;
    register(&app, "ada@example.com").await;
    let mail = received(&server, 1).await.remove(0);
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("no-reply@example.com", ["ada@example.com".to_owned()].as_slice())
    );
    assert!(mail.data.contains("Subject: Your verification code"), "{}", mail.data);
    assert!(mail.data.contains("your code is: "), "{}", mail.data);
    let client = connect(&db.url).await;
    let id = client.query_one("SELECT id::text FROM mails", &[]).await.expect("one");
    let id: &str = id.get(0);
    assert!(mail.data.contains(&format!("Message-ID: <{id}@example.com>")), "{}", mail.data);
    let sent = ("sent".to_owned(), 1, false);
    wait(async || (row(&client, "ada@example.com").await == sent).then_some(())).await;
    // Without an outbox there is no outbox page.
    app.get("/outbox").send().await.assert_error(404, "route_not_found");
}

#[tokio::test]
async fn a_mail_waits_for_its_server_and_arrives_later() {
    let db = TestDb::create().await;
    let address = {
        // A port on which nobody listens any more.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        listener.local_addr().expect("address")
    };
    let url = format!("smtp://{address}");
    let app = TestApp::builder().database_url(&db.url).setting("SMTP_URL", &url).start().await;
    let client = connect(&db.url).await;
    register(&app, "ada@example.com").await;
    let degraded = wait(async || {
        let health = app.get("/api/v1/config/health").send().await.data();
        (health["services"]["mail"]["status"] == "degraded").then_some(health)
    });
    assert_eq!(degraded.await["status"], "degraded");
    // The row keeps its body, and the try didn't count: it said nothing of this mail.
    let error = wait(async || {
        let sql = "SELECT last_error FROM mails WHERE last_error IS NOT NULL";
        client.query_opt(sql, &[]).await.expect("asked")
    });
    assert!(error.await.get::<_, &str>(0).contains("refused"));
    assert_eq!(row(&client, "ada@example.com").await, ("pending".to_owned(), 0, true));

    let server = SmtpServer::start_at(address, &[]);
    app.clock.advance(TimeDelta::seconds(20));
    assert_eq!(received(&server, 1).await[0].to, ["ada@example.com"]);
    let sent = ("sent".to_owned(), 1, false);
    wait(async || (row(&client, "ada@example.com").await == sent).then_some(())).await;
}

#[tokio::test]
async fn one_bad_address_blocks_nobody() {
    let (server, db) = (SmtpServer::start(&["bad@example.com"]), TestDb::create().await);
    let app =
        TestApp::builder().database_url(&db.url).setting("SMTP_URL", &server.url()).start().await;
    let client = connect(&db.url).await;
    register(&app, "bad@example.com").await;
    register(&app, "ada@example.com").await;
    assert_eq!(received(&server, 1).await[0].to, ["ada@example.com"]);
    // It may be the server's mistake: it is tried for hours, and then given up.
    wait(async || {
        app.clock.advance(TimeDelta::hours(3));
        let (state, attempts, has_body) = row(&client, "bad@example.com").await;
        (state == "failed" && attempts == 12 && !has_body).then_some(())
    })
    .await;
    assert!(!app.core.mails.is_failing(), "the server works");
    let why = "SELECT last_error FROM mails WHERE state = 'failed'";
    let why = client.query_one(why, &[]).await.expect("one");
    let why: &str = why.get(0);
    assert_eq!(why, "the mail was refused: the server answered 550 5.1.1");
}

#[tokio::test]
async fn a_mail_is_written_with_its_change_or_not_at_all() {
    let db = TestDb::create().await;
    let server = SmtpServer::start(&[]);
    let app =
        TestApp::builder().database_url(&db.url).setting("SMTP_URL", &server.url()).start().await;
    let client = connect(&db.url).await;
    // The change can't be made: the mail that it asks for isn't written either.
    client
        .batch_execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
             CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION refuse();",
        )
        .await
        .expect("a trigger that fails at the commit");
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let answer = app.post("/api/v1/auth/register", body).send().await;
    answer.assert_error(500, "internal_error");
    let count = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM mails)
                     + (SELECT count(*) FROM jobs WHERE kind = 'user.answer_registration')";
    assert_eq!(client.query_one(count, &[]).await.expect("asked").get::<_, i64>(0), 0);

    client.batch_execute("DROP TRIGGER refuse ON users").await.expect("dropped");
    register(&app, "ada@example.com").await;
    received(&server, 1).await;
}
