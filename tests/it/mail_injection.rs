//! Nothing that a value holds adds a recipient or a header, or ends a mail early: a corpus against a real SMTP
//! server.

use std::collections::BTreeSet;

use minijinja::context;
use twofold::{
    adapters::{
        clock::Clock,
        mailer::{Mail, MailError, Mailer, Transport},
        random::Random,
    },
    services::mails::{DEFAULT_LOCALE, Template, Templates},
};

use crate::support::smtp::{Received, SmtpServer};

/// What is put behind, or in place of, something harmless.
const HOSTILE: [&str; 24] = [
    "\r\nBcc: eve@example.com",
    "\nBcc: eve@example.com",
    "\rBcc: eve@example.com",
    "\r\n\tBcc: eve@example.com",
    "\r\n\r\nBcc: eve@example.com",
    "%0d%0aBcc: eve@example.com",
    "\u{0}\r\nBcc: eve@example.com",
    "\u{85}Bcc: eve@example.com",
    "\u{2028}Bcc: eve@example.com",
    "\u{b}Bcc: eve@example.com\u{c}",
    "\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\nx\r\n.\r\n",
    "\n.\nRCPT TO:<eve@example.com>\n",
    "\r\n.\nRCPT TO:<eve@example.com>\r\n",
    "\n.\r\nRSET\r\n",
    "\r.\rQUIT\r",
    ">\r\nRCPT TO:<eve@example.com",
    "> RCPT TO:<eve@example.com>",
    ", eve@example.com",
    "; eve@example.com",
    " <eve@example.com>",
    ">, <eve@example.com>",
    "\" <eve@example.com>, \"",
    "=?utf-8?q?=0D=0ABcc:_eve@example.com?=",
    "\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x",
];

const ADA: &str = "ada@example.com";

fn mail(recipient: &str, subject: &str, text: &str, html: Option<String>) -> Mail {
    let id = Random.id(Clock::default().now());
    let (recipient, subject, text) = (recipient.to_owned(), subject.to_owned(), text.to_owned());
    Mail { id, recipient, subject, text, html }
}

fn mailer(from: &str, server: &SmtpServer) -> Result<Mailer, MailError> {
    Mailer::new(from, vec![Transport::smtp(&server.url())?], Clock::default())
}

/// A mail to Ada with the headers that all mails have, each once.
#[track_caller]
fn assert_harmless(received: &Received, case: &str) {
    assert_eq!(
        (&received.from, &received.to),
        (&"no-reply@example.com".into(), &vec![ADA.to_owned()]),
        "{case:?}"
    );
    let mail = received.parsed();
    let names: Vec<String> =
        mail.headers().iter().map(|header| header.name().to_lowercase()).collect();
    let expected = ["content-type", "date", "from", "message-id", "mime-version", "subject", "to"];
    let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(
        (known, names.len()),
        (expected.into(), expected.len()),
        "{case:?}: {}",
        received.data
    );
    let addresses = |header: Option<&mail_parser::Address<'_>>| -> Vec<String> {
        let all = header.into_iter().flat_map(mail_parser::Address::iter);
        all.filter_map(|one| one.address().map(str::to_owned)).collect()
    };
    assert_eq!(addresses(mail.to()), [ADA], "{case:?}");
    assert_eq!(addresses(mail.from()), ["no-reply@example.com"], "{case:?}");
    assert_eq!(mail.text_body_count() + mail.html_body_count(), 2, "{case:?}");
}

#[tokio::test]
async fn a_recipient_is_one_bare_address_or_nobody() {
    let server = SmtpServer::start(&[]);
    let mailer = mailer("Shop <no-reply@example.com>", &server).expect("a mailer");
    for hostile in HOSTILE {
        let forms = [
            format!("{ADA}{hostile}"),
            format!("ada{hostile}@example.com"),
            format!("{hostile}{ADA}"),
            format!("\"ada{hostile}\"@example.com"),
            format!("Ada{hostile} <{ADA}>"),
        ];
        for recipient in forms {
            let sent = mailer.send(&mail(&recipient, "s", "t", None)).await;
            assert!(matches!(sent, Err(MailError::Invalid(_))), "{recipient:?}");
        }
    }
    for recipient in [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "(x)ada@example.com",
        "\"ada\"@example.com",
        "\"ada>,<eve\"@example.com",
        "\"ada@example.com>,<eve\"@example.com",
    ] {
        let sent = mailer.send(&mail(recipient, "s", "t", None)).await;
        assert!(matches!(sent, Err(MailError::Invalid(_))), "{recipient:?}");
    }
    assert!(server.received().is_empty() && !mailer.is_failing());
}

#[tokio::test]
async fn a_subject_is_one_line() {
    let server = SmtpServer::start(&[]);
    let mailer = mailer("Shop <no-reply@example.com>", &server).expect("a mailer");
    for hostile in HOSTILE {
        let subject = format!("Hello{hostile}");
        let is_harmless = !subject.contains(char::is_control) && !subject.contains("=?");
        let before = server.received().len();
        match mailer.send(&mail(ADA, &subject, "t", Some("<p>t</p>".to_owned()))).await {
            Err(MailError::Invalid(_)) => {
                assert!(!is_harmless, "{subject:?}");
                assert_eq!(server.received().len(), before, "{subject:?}");
            }
            sent => {
                sent.expect("sent");
                let received = server.received().pop().expect("a mail");
                assert_harmless(&received, &subject);
                assert!(is_harmless, "{subject:?}");
            }
        }
    }
}

/// Values come into subjects and bodies by templates; the product's name even into subjects.
#[tokio::test]
async fn a_value_stays_what_it_is() {
    let server = SmtpServer::start(&[]);
    let mailer = mailer("Shop <no-reply@example.com>", &server).expect("a mailer");
    for hostile in HOSTILE {
        let value = format!("Ada{hostile}");
        let templates = Templates::new(&value);
        let rendered = templates
            .render(Template::Welcome, DEFAULT_LOCALE, &context! { name => &value })
            .expect("renders");
        let before = server.received().len();
        let mail = mail(ADA, &rendered.subject, &rendered.text, Some(rendered.html));
        mailer.send(&mail).await.expect("sent");
        let received = server.received();
        assert_eq!(received.len(), before + 1, "{value:?}");
        let received = received.last().expect("a mail");
        assert_harmless(received, &value);
        // Both parts arrive to their end.
        let parsed = received.parsed();
        let (text, html) = (parsed.body_text(0).expect("text"), parsed.body_html(0).expect("HTML"));
        assert!(text.contains("the account is yours alone."), "{value:?}: {text}");
        assert!(html.trim_end().ends_with("</html>"), "{value:?}: {html}");
        assert!(!parsed.subject().expect("a subject").contains(char::is_control), "{value:?}");
    }
}

#[tokio::test]
async fn the_senders_name_adds_nothing() {
    let server = SmtpServer::start(&[]);
    for hostile in HOSTILE {
        let from = format!("Shop{hostile} <no-reply@example.com>");
        let Ok(mailer) = mailer(&from, &server) else { continue };
        let before = server.received().len();
        let html = Some("<p>t</p>".to_owned());
        if mailer.send(&mail(ADA, "s", "t", html)).await.is_ok() {
            assert_harmless(server.received().last().expect("a mail"), &from);
            assert_eq!(server.received().len(), before + 1, "{from:?}");
        }
    }
}
