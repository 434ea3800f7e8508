//! Mails as staff see them.

use chrono::TimeDelta;
use serde_json::{Value, json};
use twofold::services::mails::Template;

use crate::{
    idempotency::count,
    mail::register,
    support::{
        TestApp, TestDb,
        app::{ADMIN, Builder},
        cluster::connect,
        http::Answer,
        smtp::SmtpServer,
        wait,
    },
};

const MAILS: &str = "/api/v1/backoffice/mails";

struct Stage {
    app: TestApp,
    token: String,
    server: SmtpServer,
    db: TestDb,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(|builder| builder, &["bad@example.com"]).await
    }

    async fn set_with(builder: impl FnOnce(Builder) -> Builder, refused: &[&str]) -> Self {
        let (server, db) = (SmtpServer::start(refused), TestDb::create().await);
        let settings = TestApp::builder().database_url(&db.url).setting("SMTP_URL", &server.url());
        let app = builder(settings).start().await;
        let token = app.admin_token().await;
        Self { app, token, server, db }
    }

    async fn get(&self, path: &str) -> Answer {
        self.app.get(&format!("{MAILS}{path}")).bearer(&self.token).send().await
    }

    async fn template(&self, path: &str) -> Answer {
        let path = format!("/api/v1/backoffice/mail-templates{path}");
        self.app.get(&path).bearer(&self.token).send().await
    }

    async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        let request = self.app.request(reqwest::Method::POST, &format!("{MAILS}{path}"));
        let request = request.bearer(&self.token);
        match body {
            Some(body) => request.json(body),
            None => request,
        }
        .send()
        .await
    }

    /// Waits until all mails are written and have this state.
    async fn all(&self, state: &str) {
        let sql = connect(&self.db.url).await;
        wait(async || {
            let unwritten = "jobs WHERE kind LIKE 'user.%' AND finished_at IS NULL";
            (count(&sql, unwritten).await == 0).then_some(())
        })
        .await;
        wait(async || {
            let total = self.get("").await.data()["total"].clone();
            (self.get(&format!("?state={state}")).await.data()["total"] == total).then_some(())
        })
        .await;
    }

    async fn test_mail_to(&self, to: &str) -> Value {
        self.post("/test", Some(json!({"to": to}))).await.data()
    }
}

fn recipients(data: &Value) -> Vec<&str> {
    let items = data["items"].as_array().expect("a list").iter();
    items.map(|item| item["recipient"].as_str().expect("text")).collect()
}

fn id(mail: &Value) -> &str {
    mail["id"].as_str().expect("an id")
}

#[tokio::test]
async fn mails_are_listed_searched_filtered_and_sorted() {
    let stage = Stage::set().await;
    for name in ["carol", "alice", "al_ice"] {
        stage.app.clock.advance(TimeDelta::minutes(1));
        stage.test_mail_to(&format!("{name}@example.com")).await;
    }
    register(&stage.app, "bob@example.com").await;
    stage.all("sent").await;
    let list = async |query: &str| stage.get(query).await.data();
    let short = |data: &Value| -> Vec<String> {
        recipients(data).iter().map(|one| one.replace("@example.com", "")).collect()
    };
    assert_eq!(short(&list("").await), ["bob", "al_ice", "alice", "carol"], "newest first");
    assert_eq!(short(&list("?sort=recipient").await), ["al_ice", "alice", "bob", "carol"]);
    assert_eq!(short(&list("?sort=-sent_at").await).len(), 4);
    assert_eq!(short(&list("?q=L_I").await), ["al_ice"]);
    assert_eq!(short(&list("?template=verify_email").await), ["bob"]);
    assert_eq!(short(&list("?template=unknown").await).len(), 0);
    assert_eq!(short(&list("?state=failed").await).len(), 0);
    let all = list("?sort=created_at").await;
    let second = all["items"][1]["created_at"].as_str().expect("a time").replace('+', "%2B");
    let from = list(&format!("?sort=created_at&created_from={second}")).await;
    assert_eq!(short(&from), ["alice", "al_ice", "bob"]);
    let until = list(&format!("?sort=created_at&created_to={second}")).await;
    assert_eq!(short(&until), ["carol"]);

    let first = list("?per_page=3").await;
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let rest = list(&format!("?per_page=3&cursor={cursor}")).await;
    assert_eq!((short(&rest), &rest["has_more"]), (vec!["carol".to_owned()], &json!(false)));
    let faults = stage.get("?state=lost&template=A&sort=subject").await.faults();
    let expected = [("sort", "pattern"), ("state", "enum"), ("template", "pattern")];
    assert_eq!(faults, expected.map(|(field, rule)| (field.to_owned(), rule.to_owned())));
}

#[tokio::test]
async fn what_became_of_a_mail_is_told_and_never_what_it_said() {
    let stage = Stage::set().await;
    register(&stage.app, "ada@example.com").await;
    stage.all("sent").await;
    let received = stage.server.received().remove(0);
    let text = received.parsed().body_text(0).expect("text").into_owned();
    let code = text.split_whitespace().find(|word| word.len() == 6 && word.parse::<u32>().is_ok());
    let code = code.expect("a code");
    let list = stage.get("").await;
    let mail = list.data()["items"][0].clone();
    let read = stage.get(&format!("/{}", id(&mail))).await;
    assert_eq!(read.data(), mail);
    assert!(!list.text.contains(code) && !read.text.contains(code), "{}", list.text);
    for (field, value) in [
        ("recipient", json!("ada@example.com")),
        ("subject", json!("Your verification code")),
        ("template", json!("verify_email")),
        ("locale", json!("en")),
        ("state", json!("sent")),
        ("attempts", json!(1)),
        ("transport", json!("smtp")),
        ("requested_by", json!("system")),
        ("can_resend", json!(false)),
    ] {
        assert_eq!(mail[field], value, "{field}: {mail}");
    }
    assert!(mail["sent_at"].is_string() && mail["request_id"].is_string(), "{mail}");
    // Nothing of it is in the database either.
    let kept =
        "SELECT concat_ws(' ', body, html, template_values::text, subject, last_error) FROM mails";
    let kept = connect(&stage.db.url).await.query_one(kept, &[]).await.expect("asked");
    assert!(!kept.get::<_, &str>(0).contains(code));
    stage.get("/01975b2e-7c40-7000-8000-000000000001").await.assert_error(404, "not_found");
}

#[tokio::test]
async fn a_refused_mail_says_why() {
    let stage = Stage::set().await;
    let mail = stage.test_mail_to("bad@example.com").await;
    let path = format!("/{}", id(&mail));
    let tried = wait(async || {
        let mail = stage.get(&path).await.data();
        (mail["attempts"] == 1 && mail["last_error"].is_string()).then_some(mail)
    })
    .await;
    assert_eq!(tried["state"], "pending");
    assert_eq!(tried["last_error"], "the mail was refused: the server answered 550 5.1.1");
    let refused = stage.post(&format!("{path}/resend"), None).await;
    assert_eq!(refused.assert_error(409, "mail_pending")["code"], 1602);
}

#[tokio::test]
async fn a_mail_is_sent_once_more_as_another_one() {
    let stage = Stage::set().await;
    let first = stage.test_mail_to("ada@example.com").await;
    assert_eq!((&first["state"], &first["can_resend"]), (&json!("pending"), &json!(false)));
    assert_eq!(first["requested_by"], "admin");
    stage.all("sent").await;
    let again = stage.post(&format!("/{}/resend", id(&first)), None).await.data();
    assert_ne!(id(&again), id(&first));
    assert_eq!(again["resend_of"], first["id"]);
    stage.all("sent").await;
    let mails = stage.server.received();
    assert_eq!(mails.len(), 2);
    let [one, two] = [0, 1].map(|index| mails[index].parsed());
    assert_eq!((one.subject(), one.body_text(0)), (two.subject(), two.body_text(0)));
    assert_ne!(one.message_id(), two.message_id());
    assert_eq!(stage.get(&format!("/{}", id(&first))).await.data()["can_resend"], true);

    register(&stage.app, "bob@example.com").await;
    stage.all("sent").await;
    let secret = stage.get("?template=verify_email").await.data()["items"][0].clone();
    let refused = stage.post(&format!("/{}/resend", id(&secret)), None).await;
    assert_eq!(refused.assert_error(409, "mail_not_repeatable")["code"], 1601);
    let nobody = stage.post("/01975b2e-7c40-7000-8000-000000000001/resend", None).await;
    nobody.assert_error(404, "not_found");
}

#[tokio::test]
async fn a_test_mail_goes_to_oneself_or_to_whom_one_says() {
    let stage = Stage::set().await;
    let own = stage.post("/test", Some(json!({}))).await.data();
    assert_eq!((&own["recipient"], &own["template"]), (&json!(ADMIN), &json!("test")));
    let key = |body: Value| {
        let request = stage.app.post(&format!("{MAILS}/test"), body).bearer(&stage.token);
        request.header("idempotency-key", "k").send()
    };
    let once = key(json!({"to": "ada@example.com"})).await;
    let again = key(json!({"to": "ada@example.com"})).await;
    assert_eq!(once.data(), again.data());
    stage.all("sent").await;
    assert_eq!(stage.server.received().len(), 2);
    let faults =
        stage.post("/test", Some(json!({"to": "a@example.com\r\nBcc: b@example.com"}))).await;
    assert_eq!(faults.faults(), [("to".to_owned(), "email".to_owned())]);
}

#[tokio::test]
async fn templates_are_listed_and_previewed() {
    let stage = Stage::set().await;
    let data = stage.template("").await.data();
    let items = data["items"].as_array().expect("a list");
    let of = |name: &str| items.iter().find(|item| item["name"] == name).expect("listed").clone();
    assert_eq!(items.len(), Template::ALL.len());
    let verify = of("verify_email");
    assert_eq!((&verify["locales"], &verify["holds_secret"]), (&json!(["en"]), &json!(true)));
    assert_eq!(verify["sample"][0], json!({"name": "code", "value": "123456"}));
    assert_eq!(of("welcome")["holds_secret"], false);

    let preview = stage.template("/welcome?locale=de-AT").await.data();
    assert_eq!(
        (&preview["locale"], &preview["subject"]),
        (&json!("en"), &json!("Welcome to Twofold"))
    );
    assert!(preview["text"].as_str().expect("text").contains("Hello Ada <Countess> & Co.,"));
    assert!(
        preview["html"].as_str().expect("HTML").contains("Hello Ada &lt;Countess&gt; &amp; Co.,")
    );
    stage.template("/unknown").await.assert_error(404, "not_found");
    let faults = stage.template("/welcome?locale=..%2Fen").await.faults();
    assert_eq!(faults, [("locale".to_owned(), "pattern".to_owned())]);
}
