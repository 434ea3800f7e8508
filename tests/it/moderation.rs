//! What staff do to posts, and what users hold against them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    posts::{Stage as Users, text, titles},
    support::{http::Answer, wait},
};

const POSTS: &str = "/api/v1/backoffice/posts";
const REPORTS: &str = "/api/v1/backoffice/reports";
const ADA: &str = "ada@example.com";
const NOBODY: &str = "01975b2e-7c40-7000-8000-000000000001";

/// Two users, and a member of the staff.
struct Stage {
    users: Users,
    admin: String,
}

impl Stage {
    async fn set() -> Self {
        let users = Users::set().await;
        let admin = users.app.admin_token().await;
        Self { users, admin }
    }

    fn get(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        self.users.send(&self.admin, Method::GET, path, Value::Null)
    }

    fn post(&self, path: &str, reason: &str) -> impl Future<Output = Answer> + use<> {
        self.users.send(&self.admin, Method::POST, path, json!({"reason": reason}))
    }

    fn act(&self, id: &str, what: &str) -> impl Future<Output = Answer> + use<> {
        self.post(&format!("{POSTS}/{id}/{what}"), "Names <b>people</b>.")
    }

    async fn list(&self, query: &str) -> Vec<String> {
        titles(&self.get(&format!("{POSTS}{query}")).await.data())
    }

    fn report(&self, token: &str, id: &str) -> impl Future<Output = Answer> + use<> {
        let body = json!({"reason": "abuse", "comment": "It hurts."});
        self.users.send(token, Method::POST, &format!("/api/v1/posts/{id}/report"), body)
    }

    async fn reports(&self, query: &str) -> Vec<Value> {
        let page = self.get(&format!("{REPORTS}{query}")).await.data();
        page["items"].as_array().expect("a list").clone()
    }

    /// What the author was told last, by mail and within the apps.
    async fn told(&mut self) -> (String, Value) {
        let mail = self.users.app.notice_to(ADA).await;
        let path = "/api/v1/notifications?limit=1";
        let told = wait(async || {
            let send = self.users.send(&self.users.ada, Method::GET, path, Value::Null);
            send.await.data()["items"].get(0).cloned()
        })
        .await;
        assert!(!mail.html.contains("<b>people"), "escaped");
        (mail.subject, told)
    }
}

#[tokio::test]
async fn a_hidden_post_is_its_authors_alone_who_is_told_why() {
    let mut stage = Stage::set().await;
    let id = stage.users.published("Loud <i>words</i>", &[]).await;
    let path = format!("{POSTS}/{id}");
    let tag = stage.get(&path).await.header("etag").to_owned();
    let hidden = stage.act(&id, "hide").await.data();
    assert_eq!(
        (&hidden["status"], &hidden["hidden_reason"]),
        (&json!("hidden"), &json!("Names <b>people</b>."))
    );
    stage.act(&id, "hide").await.assert_error(409, "post_in_other_state");
    for token in ["", &stage.users.bob] {
        stage.users.read(token, &id).await.assert_error(404, "not_found");
    }
    let own = stage.users.read(&stage.users.ada, &id).await.data();
    assert_eq!(
        (&own["status"], &own["hidden_reason"]),
        (&hidden["status"], &hidden["hidden_reason"])
    );
    let (subject, told) = stage.told().await;
    assert_eq!((subject.as_str(), &told["kind"]), ("Your post was hidden", &json!("post_hidden")));
    let details = &told["details"];
    assert_eq!((&details["post_id"], &details["reason"]), (&json!(id), &hidden["hidden_reason"]));
    // Nothing that the author does makes it visible.
    stage.users.act(&id, "unpublish").await.data();
    stage.users.act(&id, "publish").await.data();
    stage.users.read("", &id).await.assert_error(404, "not_found");
    let stale =
        stage.users.app.request(Method::POST, &format!("{path}/restore")).bearer(&stage.admin);
    let stale = stale.header("if-match", &tag).json(json!({"reason": "x"})).send().await;
    stale.assert_error(412, "precondition_failed");

    stage.users.app.clock.advance(chrono::TimeDelta::seconds(1));
    let shown = stage.act(&id, "restore").await.data();
    assert!(shown["status"] == "published" && shown.get("hidden_reason").is_none(), "{shown}");
    stage.act(&id, "restore").await.assert_error(409, "post_in_other_state");
    assert_eq!(stage.users.read("", &id).await.status, 200);
    assert_eq!(stage.told().await.0, "Your post is shown again");
}

#[tokio::test]
async fn a_post_is_deleted_for_good_and_its_author_told() {
    let mut stage = Stage::set().await;
    let id = stage.users.published("Gone", &[]).await;
    stage.report(&stage.users.bob, &id).await.assert_done();
    assert_eq!(stage.act(&id, "delete").await.status, 204);
    assert_eq!(stage.told().await.0, "Your post was deleted");
    for what in ["delete", "hide", "restore"] {
        stage.act(&id, what).await.assert_error(404, "not_found");
    }
    stage.users.act(&id, "restore").await.assert_error(404, "not_found");
    assert!(stage.reports("").await.is_empty());
}

#[tokio::test]
async fn c12_deleting_for_good_asks_again_who_one_is() {
    let stage = Stage::set().await;
    let id = stage.users.published("Stays", &[]).await;
    stage.users.app.clock.advance(chrono::TimeDelta::minutes(16));
    stage.act(&id, "delete").await.assert_error(403, "step_up_required");
    let bulk = stage
        .users
        .send(
            &stage.admin,
            Method::POST,
            &format!("{POSTS}/bulk/delete"),
            json!({"ids": [id], "reason": "x"}),
        )
        .await;
    bulk.assert_error(403, "step_up_required");
    assert_eq!(stage.users.read("", &id).await.status, 200);
}

#[tokio::test]
async fn what_staff_do_to_posts_is_recorded() {
    let mut stage = Stage::set().await;
    let id = stage.users.published("Seen", &[]).await;
    stage.report(&stage.users.bob, &id).await.assert_done();
    let report = text(&stage.reports("").await[0]["id"]);
    stage.post(&format!("{REPORTS}/{report}/dismiss"), "No reason.").await.data();
    for what in ["hide", "restore", "delete"] {
        stage.act(&id, what).await;
        stage.told().await;
    }
    let log = stage.get("/api/v1/backoffice/audit-logs?per_page=5").await.data();
    let log = log["items"].as_array().expect("a list");
    let short = |entry: &Value| {
        (text(&entry["action"]), entry["before"]["state"].clone(), entry["after"]["state"].clone())
    };
    let entries: Vec<_> = log.iter().take(4).map(short).collect();
    let entry = |action: &str, before: Value, after: Value| (action.to_owned(), before, after);
    assert_eq!(
        entries,
        [
            entry("post.erased", json!("published"), Value::Null),
            entry("post.restored", json!("hidden"), json!("published")),
            entry("post.hidden", json!("published"), json!("hidden")),
            entry("report.dismissed", Value::Null, json!("dismissed")),
        ]
    );
    let why = "Names <b>people</b>.";
    for (entry, reason) in log.iter().zip([why, why, why, "No reason."]) {
        assert_eq!(entry["reason"], reason, "{entry}");
    }
    assert_eq!(log[0]["subject_id"], json!(id));
}

#[tokio::test]
async fn posts_are_listed_searched_filtered_and_sorted() {
    let mut stage = Stage::set().await;
    let one = stage.users.published("The first engine", &["a"]).await;
    let two = stage.users.published("user@example.com wrote", &["a", "b"]).await;
    stage.users.draft("Engineering drafts", &["b"]).await;
    assert_eq!(
        stage.list("").await,
        ["Engineering drafts", "user@example.com wrote", "The first engine"]
    );
    assert_eq!(stage.list("?sort=created_at&per_page=1&page=2").await, ["user@example.com wrote"]);
    for (query, expected) in [
        ("?q=engine", &["Engineering drafts", "The first engine"][..]),
        ("?q=ENGINE%20fir", &["The first engine"]),
        ("?q=engineering%20draft", &["Engineering drafts"]),
        ("?q=gine", &[]),
        ("?q=example", &["user@example.com wrote"]),
        ("?q=user%40example.com", &["user@example.com wrote"]),
        ("?q=%27%20%7C%20%21%28%26", &[]),
        ("?q=%F0%9F%A6%80", &[]),
        ("?status=draft", &["Engineering drafts"]),
        ("?status=hidden", &[]),
        ("?tag=b&status=published", &["user@example.com wrote"]),
        ("?is_reported=true", &[]),
        (
            "?is_reported=false&tag=a&sort=published_at",
            &["The first engine", "user@example.com wrote"],
        ),
        (&format!("?q={one}"), &["The first engine"]),
        (&format!("?author_id={NOBODY}"), &[]),
    ] {
        assert_eq!(stage.list(query).await, expected, "{query}");
    }
    let published = text(&stage.get(&format!("{POSTS}/{two}")).await.data()["published_at"]);
    let published = published.replace('+', "%2B");
    assert_eq!(
        stage.list(&format!("?published_from={published}")).await,
        ["user@example.com wrote"]
    );
    assert_eq!(stage.list(&format!("?published_to={published}")).await, ["The first engine"]);
    let made = text(&stage.get(&format!("{POSTS}/{two}")).await.data()["created_at"]);
    let made = made.replace('+', "%2B");
    assert_eq!(
        stage.list(&format!("?created_from={made}&status=published")).await,
        ["user@example.com wrote"]
    );
    assert_eq!(stage.list(&format!("?created_to={made}")).await, ["The first engine"]);
    stage.report(&stage.users.bob, &one).await.assert_done();
    let reported = stage.get(&format!("{POSTS}?is_reported=true")).await.data();
    assert_eq!((&reported["total"], &reported["items"][0]["open_reports"]), (&json!(1), &json!(1)));
    stage.act(&one, "hide").await.data();
    stage.told().await;
    assert!(stage.list("?is_reported=true").await.is_empty(), "hiding resolves");
    assert_eq!(stage.list("?status=hidden&q=engine").await, ["The first engine"]);
}

#[tokio::test]
async fn a_report_waits_for_staff_and_comes_once_until_then() {
    let stage = Stage::set().await;
    let id = stage.users.published("Loud", &[]).await;
    let draft = stage.users.draft("Mine", &[]).await;
    for unseen in [draft.as_str(), NOBODY] {
        stage.report(&stage.users.bob, unseen).await.assert_error(404, "not_found");
    }
    stage.report(&stage.users.bob, &id).await.assert_done();
    stage.report(&stage.users.bob, &id).await.assert_error(409, "post_already_reported");
    stage.users.app.clock.advance(chrono::TimeDelta::seconds(1));
    stage.report(&stage.users.ada, &id).await.assert_done();
    let open = stage.reports("?status=open").await;
    assert_eq!((open.len(), &open[0]["post_title"]), (2, &json!("Loud")), "the oldest first");
    assert_eq!((&open[0]["reason"], &open[0]["comment"]), (&json!("abuse"), &json!("It hurts.")));
    let report = text(&open[0]["id"]);
    let dismiss = || stage.post(&format!("{REPORTS}/{report}/dismiss"), "No reason.");
    let dismissed = dismiss().await.data();
    assert!(
        dismissed["status"] == "dismissed" && dismissed["decided_by"].is_string(),
        "{dismissed}"
    );
    assert_eq!(stage.get(&format!("{REPORTS}/{report}")).await.data(), dismissed);
    dismiss().await.assert_error(409, "report_decided");
    let nowhere = stage.post(&format!("{REPORTS}/{NOBODY}/resolve"), "x").await;
    nowhere.assert_error(404, "not_found");
    // Something new may have happened.
    stage.report(&stage.users.bob, &id).await.assert_done();
    let other = text(&stage.reports("?status=open").await[1]["id"]);
    let resolved =
        stage.post(&format!("{REPORTS}/{other}/resolve"), "Talked to them.").await.data();
    assert_eq!(resolved["status"], "resolved");
    for (query, count) in
        [("", 3), ("?status=open", 1), ("?status=dismissed&reason=abuse", 1), ("?reason=spam", 0)]
    {
        assert_eq!(stage.reports(query).await.len(), count, "{query}");
    }
    assert_eq!(stage.reports(&format!("?post_id={id}")).await.len(), 3);
    assert!(stage.reports(&format!("?post_id={NOBODY}")).await.is_empty());
}

#[tokio::test]
async fn one_post_of_a_bulk_action_that_fails_keeps_no_other_from_it() {
    let mut stage = Stage::set().await;
    let (one, two) = (stage.users.published("one", &[]).await, stage.users.draft("two", &[]).await);
    let ids = [one.as_str(), NOBODY, two.as_str()];
    for (action, rows) in [
        ("hide", ["done", "not_found", "done"]),
        ("hide", ["post_in_other_state", "not_found", "post_in_other_state"]),
        ("restore", ["done", "not_found", "done"]),
        ("delete", ["done", "not_found", "done"]),
        ("delete", ["not_found", "not_found", "not_found"]),
    ] {
        let body = json!({"ids": ids, "reason": "Just a test."});
        let path = format!("{POSTS}/bulk/{action}");
        let answer = stage.users.send(&stage.admin, Method::POST, &path, body).await.data();
        let found = answer["results"].as_array().expect("a list").iter().map(|row| {
            assert_eq!(row["is_done"], row.get("error").is_none(), "{row}");
            row["error"].as_str().unwrap_or("done").to_owned()
        });
        assert_eq!(found.collect::<Vec<_>>(), rows, "{action}");
    }
    for _ in 0..6 {
        stage.told().await;
    }
}

#[tokio::test]
async fn staff_read_comments_on_any_post_and_delete_them_for_the_record() {
    let stage = Stage::set().await;
    let id = stage.users.published("Discussed", &[]).await;
    let comments = format!("/api/v1/posts/{id}/comments");
    for (token, body) in [(&stage.users.bob, "*First*"), (&stage.users.ada, "Second")] {
        stage.users.send(token, Method::POST, &comments, json!({"body": body})).await.data();
    }
    stage.act(&id, "hide").await.data();
    let list = async || stage.get(&format!("{POSTS}/{id}/comments")).await.data()["items"].clone();
    let found = list().await;
    assert_eq!(
        (&found[0]["html"], &found[1]["body"]),
        (&json!("<p><em>First</em></p>\n"), &json!("Second"))
    );
    assert_eq!(
        (&found[0]["author_name"], found.as_array().map(Vec::len)),
        (&json!("Ada"), Some(2))
    );
    stage.get(&format!("{POSTS}/{NOBODY}/comments")).await.assert_error(404, "not_found");

    let delete = async |id: &str, body: Value| {
        let path = format!("/api/v1/backoffice/comments/{id}");
        stage.users.send(&stage.admin, Method::DELETE, &path, body).await
    };
    let (first, reason) = (text(&found[0]["id"]), json!({"reason": "Rude."}));
    assert_eq!(delete(&first, json!({})).await.faults()[0].0, "reason");
    assert_eq!(delete(&first, reason.clone()).await.status, 204);
    delete(&first, reason).await.assert_error(404, "not_found");
    assert_eq!(list().await.as_array().map(Vec::len), Some(1));
    let path = "/api/v1/backoffice/audit-logs?action=post.comment_deleted";
    let entries = stage.get(path).await.data();
    let entry = &entries["items"][0];
    assert_eq!((&entry["reason"], &entry["subject_id"]), (&json!("Rude."), &json!(id)), "{entry}");
    assert_eq!(entry["before"], json!({"id": first}), "nothing of what was said");
}

#[tokio::test]
async fn a_hidden_post_is_found_nowhere() {
    let mut stage = Stage::set().await;
    let found = async |stage: &Stage, path: &str| {
        titles(&stage.users.send("", Method::GET, path, Value::Null).await.data())
    };
    let both = stage.users.published("Loud loud words", &["loud"]).await;
    stage.users.published("Loud", &["loud"]).await;
    stage.act(&both, "hide").await.data();
    stage.told().await;
    for query in ["/search?q=loud", "/search?q=loud&limit=1", "?tag=loud", ""] {
        assert_eq!(found(&stage, &format!("/api/v1/posts{query}")).await, ["Loud"], "{query}");
    }
}

#[tokio::test]
async fn what_becomes_due_while_it_is_hidden_is_published_once_it_is_shown() {
    let mut stage = Stage::set().await;
    let id = stage.users.draft("Due", &[]).await;
    let body = json!({"publish_at": stage.users.app.clock.now() + chrono::TimeDelta::minutes(1)});
    let path = format!("/api/v1/posts/{id}/schedule");
    stage.users.send(&stage.users.ada, Method::POST, &path, body).await.data();
    stage.act(&id, "hide").await.data();
    stage.told().await;
    stage.users.app.clock.advance(chrono::TimeDelta::minutes(2));
    stage.users.app.core.jobs.waker.wake();
    wait(async || {
        let jobs = "/api/v1/backoffice/jobs?kind=post.publish&state=succeeded";
        (stage.get(jobs).await.data()["total"] == 1).then_some(())
    })
    .await;
    stage.users.read("", &id).await.assert_error(404, "not_found");
    assert_eq!(stage.act(&id, "restore").await.data()["status"], "published");
    stage.told().await;
}

#[tokio::test]
async fn only_as_they_have_seen_it_staff_hide_or_delete_a_post() {
    let stage = Stage::set().await;
    let id = stage.users.published("Seen", &[]).await;
    for what in ["hide", "delete"] {
        let request = stage.users.app.request(Method::POST, &format!("{POSTS}/{id}/{what}"));
        let request = request.bearer(&stage.admin).header("if-match", "\"another\"");
        let answer = request.json(json!({"reason": "x"})).send().await;
        answer.assert_error(412, "precondition_failed");
    }
    assert_eq!(stage.users.read("", &id).await.status, 200);
}
