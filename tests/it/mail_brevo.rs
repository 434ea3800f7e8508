//! Mail by Brevo's API, against a server that speaks it, and SMTP as its fallback.

use std::{net::TcpListener, time::Duration};

use chrono::TimeDelta;
use secrecy::SecretString;
use twofold::adapters::{
    clock::Clock,
    mailer::{BrevoOptions, Mail, MailError, Mailer, Transport},
    random::Random,
};

use crate::{
    mail::{received, register, row},
    support::{
        TestApp, TestDb,
        app::Builder,
        brevo::{BAD, BrevoServer, KEY, Trouble},
        cluster::connect,
        program::{dir, run, stderr, stdout},
        smtp::SmtpServer,
        wait,
    },
};

const ADA: &str = "ada@example.com";

fn mail(recipient: &str) -> Mail {
    let id = Random.id(Clock::default().now());
    let html = Some("<p>Hello</p>".to_owned());
    Mail {
        id,
        recipient: recipient.to_owned(),
        subject: "S".to_owned(),
        text: "T".to_owned(),
        html,
    }
}

fn brevo(url: &str, api_key: &str) -> Transport {
    let options = BrevoOptions { url: url.to_owned(), api_key: SecretString::from(api_key) };
    Transport::brevo(&options).expect("a transport")
}

fn mailer(transports: Vec<Transport>, clock: &Clock) -> Mailer {
    Mailer::new("Shop <no-reply@example.com>", transports, clock.clone()).expect("a mailer")
}

fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("address").to_string()
}

#[tokio::test]
async fn a_mail_is_handed_over_with_all_that_it_has() {
    let (server, mail) = (BrevoServer::start().await, mail(ADA));
    let receipt = mailer(vec![brevo(&server.url, KEY)], &Clock::default()).send(&mail).await;
    let receipt = receipt.expect("sent");
    assert_eq!(receipt.transport, "brevo");
    assert_eq!(receipt.provider_id.as_deref(), Some("<1@smtp-relay.mailin.fr>"));
    let expected = serde_json::json!({
        "sender": {"email": "no-reply@example.com", "name": "Shop"},
        "to": [{"email": ADA}],
        "subject": "S",
        "textContent": "T",
        "htmlContent": "<p>Hello</p>",
        "headers": {"Message-ID": format!("<{}@example.com>", mail.id)},
    });
    assert_eq!(server.mails(), [expected]);
}

/// What an answer says of this mail, and what of all.
#[tokio::test]
async fn each_failure_is_what_it_is() {
    enum Is {
        OfTheMail,
        OfAll(Option<u64>),
    }
    let answer = |status, headers, body| Trouble::Answer { status, headers, body };
    let plain = |status| answer(status, &[], "{}");
    let wait: &[(&str, &str)] = &[("retry-after", "120")];
    let reset: &[(&str, &str)] = &[("x-sib-ratelimit-reset", "60")];
    let long: &[(&str, &str)] = &[("retry-after", "999999999999")];
    let date: &[(&str, &str)] = &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")];
    let cases = [
        (
            answer(400, &[], r#"{"code":"invalid_parameter","message":"canary"}"#),
            Is::OfTheMail,
            "400 invalid_parameter",
        ),
        (answer(400, &[], r#"{"code":"<canary>"}"#), Is::OfTheMail, "400"),
        (plain(413), Is::OfTheMail, "413"),
        (plain(422), Is::OfTheMail, "422"),
        (
            answer(401, &[], r#"{"code":"unauthorized","message":"canary"}"#),
            Is::OfAll(None),
            "401 unauthorized",
        ),
        (
            answer(402, &[], r#"{"code":"not_enough_credits"}"#),
            Is::OfAll(None),
            "402 not_enough_credits",
        ),
        (plain(403), Is::OfAll(None), "403"),
        (plain(404), Is::OfAll(None), "404"),
        (plain(302), Is::OfAll(None), "302"),
        (answer(429, wait, "{}"), Is::OfAll(Some(120)), "429"),
        (answer(429, reset, "{}"), Is::OfAll(Some(60)), "429"),
        (answer(429, long, "{}"), Is::OfAll(Some(3600)), "429"),
        (answer(503, date, "{}"), Is::OfAll(None), "503"),
        (answer(500, &[], "<html>canary"), Is::OfAll(None), "500"),
        // It was not Brevo, or not a mail that it knows.
        (answer(201, &[], r#"{"messageId":"#), Is::OfAll(None), "201 without an id"),
        (answer(200, &[], "<html>canary"), Is::OfAll(None), "200 without an id"),
        (answer(201, &[], "{}"), Is::OfAll(None), "201 without an id"),
        (Trouble::Silence, Is::OfAll(None), "no answer within 10s"),
    ];
    let server = BrevoServer::start().await;
    for (trouble, expected, told) in cases {
        let (clock, mail) = (Clock::default(), mail(ADA));
        let mailer = mailer(vec![brevo(&server.url, KEY)], &clock);
        server.then(trouble);
        let error = mailer.send(&mail).await.expect_err(told);
        let text = twofold::telemetry::Chain(&error).to_string();
        assert!(text.ends_with(told) && !text.contains("canary"), "{told}: {text}");
        match (expected, error) {
            (Is::OfTheMail, MailError::Refused(_)) => assert!(!mailer.is_failing(), "{told}"),
            (Is::OfAll(seconds), MailError::Unavailable { retry_after: Some(pause), .. }) => {
                let expected = Duration::from_secs(seconds.unwrap_or(10));
                assert!(pause <= expected && pause > expected / 2, "{told}: {pause:?}");
                assert!(mailer.is_failing(), "{told}");
                // Until then nobody asks.
                let before = server.requests();
                mailer.send(&mail).await.expect_err("it is left alone");
                assert_eq!(server.requests(), before, "{told}");
                clock.advance(TimeDelta::seconds(3601));
                mailer.send(&mail).await.expect("it works again");
                assert!(!mailer.is_failing(), "{told}");
            }
            (_, error) => panic!("{told}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn one_refused_address_blocks_nobody_and_is_not_sent_another_way() {
    let (server, smtp) = (BrevoServer::start().await, SmtpServer::start(&[]));
    let smtp_transport = Transport::smtp(&smtp.url()).expect("a transport");
    let mailer = mailer(vec![brevo(&server.url, KEY), smtp_transport], &Clock::default());
    let refused = mailer.send(&mail(BAD)).await;
    assert!(matches!(refused, Err(MailError::Refused(_))), "{refused:?}");
    mailer.send(&mail(ADA)).await.expect("sent");
    assert_eq!((server.mails().len(), smtp.received().len()), (1, 0));
}

fn with_both(brevo: &str, smtp: &SmtpServer, first: &str) -> Builder {
    TestApp::builder()
        .setting("TWOFOLD_MAIL__BREVO_API_KEY", KEY)
        .setting("TWOFOLD_MAIL__BREVO_URL", brevo)
        .setting("SMTP_URL", &smtp.url())
        .setting("TWOFOLD_MAIL__FIRST", first)
}

#[tokio::test]
async fn what_brevo_can_t_take_goes_by_smtp_until_it_can() {
    let (address, smtp, db) = (nowhere(), SmtpServer::start(&[]), TestDb::create().await);
    let url = format!("http://{address}");
    let app = with_both(&url, &smtp, "brevo").database_url(&db.url).start().await;
    let client = connect(&db.url).await;
    register(&app, ADA).await;
    assert_eq!(received(&smtp, 1).await[0].to, [ADA]);
    wait(async || (row(&client, ADA).await.0 == "sent").then_some(())).await;
    let health = app.get("/api/v1/config/health").send().await.data();
    assert_eq!(health["services"]["mail"]["status"], "degraded");

    let server = BrevoServer::start_at(&address).await;
    register(&app, "bob@example.com").await;
    received(&smtp, 2).await;
    assert_eq!(server.requests(), 0, "it is left alone for a moment");
    app.clock.advance(TimeDelta::seconds(10));
    register(&app, "eve@example.com").await;
    wait(async || (server.mails().len() == 1).then_some(())).await;
    wait(async || (row(&client, "eve@example.com").await.0 == "sent").then_some(())).await;
    let sql = "SELECT transport, provider_id, attempts, body IS NULL AND html IS NULL FROM mails ORDER BY id";
    let rows = client.query(sql, &[]).await.expect("asked");
    let found: Vec<(&str, Option<&str>, i32, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let id = Some("<1@smtp-relay.mailin.fr>");
    assert_eq!(found, [("smtp", None, 1, true), ("smtp", None, 1, true), ("brevo", id, 1, true)]);
    let health = app.get("/api/v1/config/health").send().await.data();
    assert_eq!(health["services"]["mail"]["status"], "up");
}

#[tokio::test]
async fn smtp_comes_first_unless_the_settings_say_otherwise() {
    let (server, smtp) = (BrevoServer::start().await, SmtpServer::start(&[]));
    let db = TestDb::create().await;
    let app = with_both(&server.url, &smtp, "").database_url(&db.url).start().await;
    register(&app, ADA).await;
    received(&smtp, 1).await;
    assert!(server.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_and_the_command_tell_of_both() {
    let (folder, server, smtp) = (dir(), BrevoServer::start().await, SmtpServer::start(&[]));
    let (db, smtp_url) = (TestDb::create().await, smtp.url());
    let variables = |key: &'static str| {
        [
            ("DATABASE_URL", db.url.as_str()),
            ("TWOFOLD_SERVER__LISTEN", "127.0.0.1:0"),
            ("TWOFOLD_MAIL__BREVO_URL", server.url.as_str()),
            ("TWOFOLD_MAIL__BREVO_API_KEY", key),
            ("TWOFOLD_MAIL__FIRST", "brevo"),
            ("SMTP_URL", smtp_url.as_str()),
        ]
    };
    let good = run(folder.path(), &["doctor"], &variables(KEY));
    let text = stdout(&good);
    assert!(
        text.contains("Brevo knows the key") && text.contains("the server takes mail"),
        "{text}"
    );
    assert!(server.mails().is_empty() && smtp.received().is_empty(), "nothing is sent");
    let bad = run(folder.path(), &["doctor"], &variables("canary"));
    let text = stdout(&bad);
    assert!(text.contains("brevo: Brevo answered 401 unauthorized"), "{text}");
    assert!(!text.contains("canary"), "{text}");

    let test = ["mail", "test", "--to", ADA];
    let sent = run(folder.path(), &test, &variables(KEY));
    let told = "brevo has taken the mail to ada@example.com as <1@smtp-relay.mailin.fr>\n";
    assert_eq!(stdout(&sent), told, "{}", stderr(&sent));
    let sent = run(folder.path(), &test, &variables("canary"));
    assert_eq!(stdout(&sent), "smtp has taken the mail to ada@example.com\n", "{}", stderr(&sent));
    let why = "brevo takes no mail: Brevo answered 401 unauthorized";
    assert!(stderr(&sent).contains(why) && !stderr(&sent).contains("canary"), "{}", stderr(&sent));
}
