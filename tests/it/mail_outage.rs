//! Mail while its server is away, and how fast it goes.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use minijinja::context;
use tokio_postgres::Client;
use twofold::{
    db::Origin,
    services::mails::{DEFAULT_LOCALE, Delivery, Request, Template},
};
use uuid::Uuid;

use crate::{
    mail::received,
    support::{
        TestApp, TestDb, cluster::connect, rounds, smtp::SmtpServer, smtp_process::SmtpProcess,
        wait,
    },
};

/// Writes so many mails, each to an address of its own, in transactions of 100.
async fn queue(app: &TestApp, count: usize) {
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(100) {
        let mut tx = app.core.db.begin(&Origin::system("test")).await.expect("begun");
        for number in some {
            let recipient = format!("user-{number}@example.com");
            let request = Request {
                recipient: &recipient,
                user_id: None,
                template: Template::Welcome,
                locale: DEFAULT_LOCALE,
                values: context! { name => "Ada" },
            };
            app.core.mails.queue(&app.core, &mut tx, request).await.expect("written");
        }
        tx.commit().await.expect("committed");
    }
}

async fn count(client: &Client, state: &str) -> usize {
    let sql = "SELECT count(*) FROM mails WHERE state = $1";
    let count: i64 = client.query_one(sql, &[&state]).await.expect("counted").get(0);
    usize::try_from(count).expect("a number")
}

/// Waits, as many mails take their time.
async fn wait_long(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..60_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true");
}

/// The long run sends 1,000.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_half_way_gets_every_mail_at_least_once() {
    let all = rounds(200, 1000);
    let (folder, db) = (tempfile::tempdir().expect("directory"), TestDb::create().await);
    let mut server = SmtpProcess::start(folder.path());
    let url = format!("smtp://{}", server.address);
    let app = TestApp::builder().database_url(&db.url).setting("SMTP_URL", &url).start().await;
    let client = connect(&db.url).await;
    queue(&app, all).await;
    wait_long(async || server.received().len() >= all / 2).await;
    server.kill();
    assert!(server.received().len() < all, "it was too fast to be killed half-way");
    wait_long(async || app.core.mails.is_failing()).await;
    server.start_again();
    wait_long(async || {
        app.clock.advance(TimeDelta::seconds(1));
        count(&client, "sent").await == all
    })
    .await;

    let mut mails = server.received();
    mails.sort();
    let total = mails.len();
    mails.dedup();
    let (recipients, ids) = mails.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    assert_eq!(recipients.len(), all, "each got one mail, or the same one again");
    let sql = "SELECT recipient, id::text FROM mails ORDER BY recipient";
    for (row, (recipient, id)) in
        client.query(sql, &[]).await.expect("asked").iter().zip(recipients.iter().zip(&ids))
    {
        let expected = format!("{}@example.com", row.get::<_, &str>(1));
        assert_eq!((row.get(0), expected), (recipient.as_str(), id.clone()));
    }
    assert!(total - all <= 10, "{} of {all} came twice", total - all);
    let most = client.query_one("SELECT max(attempts) FROM mails", &[]).await.expect("asked");
    assert_eq!(most.get::<_, i32>(0), 1, "that nobody took it was no mail's fault");
}

#[tokio::test]
async fn while_nobody_takes_mail_no_mail_uses_up_its_tries() {
    let db = TestDb::create().await;
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        listener.local_addr().expect("address")
    };
    let url = format!("smtp://{address}");
    let app = TestApp::builder().database_url(&db.url).setting("SMTP_URL", &url).start().await;
    let client = connect(&db.url).await;
    queue(&app, 2).await;
    // Longer than refusals are tried.
    for _ in 0..6 {
        app.clock.advance(TimeDelta::hours(12));
        wait(async || app.core.mails.mailer.pause().map(drop)).await;
    }
    assert_eq!(count(&client, "pending").await, 2);
    let most = client.query_one("SELECT max(attempts) FROM mails", &[]).await.expect("asked");
    assert!(most.get::<_, i32>(0) <= 1, "but for the one under way");
    // Each says why, also the one that found out that nobody is to be asked.
    wait(async || {
        let sql = "SELECT count(*) FROM mails WHERE last_error LIKE '%smtp: %refused%'";
        (client.query_one(sql, &[]).await.expect("asked").get::<_, i64>(0) == 2).then_some(())
    })
    .await;
    let server = SmtpServer::start_at(address, &[]);
    app.clock.advance(TimeDelta::seconds(10));
    wait_long(async || {
        app.clock.advance(TimeDelta::seconds(1));
        count(&client, "sent").await == 2
    })
    .await;
    assert_eq!(received(&server, 2).await.len(), 2);
}

#[tokio::test]
async fn after_four_days_a_mail_is_given_up() {
    let db = TestDb::create().await;
    let app = TestApp::builder()
        .database_url(&db.url)
        .setting("SMTP_URL", "smtp://127.0.0.1:1")
        .start()
        .await;
    let client = connect(&db.url).await;
    queue(&app, 1).await;
    wait(async || app.core.mails.mailer.pause().map(drop)).await;
    app.clock.advance(TimeDelta::days(4));
    wait_long(async || {
        app.clock.advance(TimeDelta::seconds(10));
        count(&client, "failed").await == 1
    })
    .await;
    let erased = "SELECT body IS NULL AND html IS NULL FROM mails";
    assert!(client.query_one(erased, &[]).await.expect("asked").get::<_, bool>(0));
}

#[tokio::test]
async fn a_mail_is_delivered_by_its_id_and_no_second_time() {
    let (server, db) = (SmtpServer::start(&[]), TestDb::create().await);
    let app =
        TestApp::builder().database_url(&db.url).setting("SMTP_URL", &server.url()).start().await;
    let client = connect(&db.url).await;
    queue(&app, 1).await;
    received(&server, 1).await;
    wait(async || (count(&client, "sent").await == 1).then_some(())).await;
    let id = client.query_one("SELECT id::text FROM mails", &[]).await.expect("one");
    let id: Uuid = id.get::<_, &str>(0).parse().expect("an id");
    let again = app.core.mails.deliver(&app.core, id, 2).await.expect("asked");
    assert_eq!(again, Delivery::Sent);
    let nobody = app.core.mails.deliver(&app.core, Uuid::nil(), 1).await.expect("asked");
    assert!(matches!(nobody, Delivery::GivenUp { .. }), "{nobody:?}");
    assert_eq!(server.received().len(), 1);
}

/// Two processes keep to one rate, whatever each of them has to send.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_mails_go_out_in_a_second_than_the_settings_say() {
    let (server, db) = (SmtpServer::start(&[]), TestDb::create().await);
    let builder = || {
        TestApp::builder()
            .database_url(&db.url)
            .setting("SMTP_URL", &server.url())
            .setting("TWOFOLD_MAIL__RATE_PER_SECOND", "20")
    };
    let (first, _second) = (builder().start().await, builder().start().await);
    let started = Instant::now();
    queue(&first, 41).await;
    received(&server, 41).await;
    // The first goes at once, each other one a twentieth of a second after the one before.
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    // The others are due at once.
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// While two versions run, the one before sends what this one has written, and erases what it knows of.
#[tokio::test]
async fn what_the_version_before_sends_leaves_nothing() {
    let db = TestDb::create().await;
    let app = TestApp::builder()
        .database_url(&db.url)
        .setting("SMTP_URL", "smtp://127.0.0.1:1")
        .start()
        .await;
    let client = connect(&db.url).await;
    queue(&app, 1).await;
    let sql =
        "UPDATE mails SET state = 'sent', body = NULL, last_error = NULL, updated_at = updated_at";
    client.execute(sql, &[]).await.expect("updated");
    let html = client.query_one("SELECT html IS NULL FROM mails", &[]).await.expect("asked");
    assert!(html.get::<_, bool>(0), "the HTML goes with the text");
}
