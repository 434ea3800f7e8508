//! Posts: who writes them, and who sees them when.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, http::Answer, wait};

const POSTS: &str = "/api/v1/posts";
const OWN: &str = "/api/v1/users/me/posts";
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// Two users: one writes, the other one reads.
pub struct Stage {
    pub app: TestApp,
    pub ada: String,
    pub bob: String,
}

impl std::borrow::Borrow<TestApp> for Stage {
    fn borrow(&self) -> &TestApp {
        &self.app
    }
}

impl Stage {
    pub async fn set() -> Self {
        let mut app = TestApp::start().await;
        let (ada, bob) = (app.user_token(ADA).await, app.user_token(BOB).await);
        Self { app, ada, bob }
    }

    pub fn send(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> impl Future<Output = Answer> + use<> {
        let request = self.app.request(method, path);
        let request = if token.is_empty() { request } else { request.bearer(token) };
        if body.is_null() { request.send() } else { request.json(body).send() }
    }

    /// A draft of Ada's: its identifier.
    pub async fn draft(&self, title: &str, tags: &[&str]) -> String {
        let body = json!({"title": title, "body": format!("Of *{title}*."), "tags": tags});
        text(&self.send(&self.ada, Method::POST, POSTS, body).await.data()["id"])
    }

    /// Does something to a post of Ada's.
    pub fn act(&self, id: &str, what: &str) -> impl Future<Output = Answer> + use<> {
        self.send(&self.ada, Method::POST, &format!("{POSTS}/{id}/{what}"), Value::Null)
    }

    /// A published post of Ada's, a minute after the one before.
    pub async fn published(&self, title: &str, tags: &[&str]) -> String {
        let id = self.draft(title, tags).await;
        self.app.clock.advance(TimeDelta::minutes(1));
        self.act(&id, "publish").await.data();
        id
    }

    pub async fn read(&self, token: &str, id: &str) -> Answer {
        self.send(token, Method::GET, &format!("{POSTS}/{id}"), Value::Null).await
    }

    async fn status(&self, id: &str) -> Value {
        self.read(&self.ada, id).await.data()["status"].clone()
    }

    async fn feed(&self, query: &str) -> Vec<String> {
        let path = format!("{POSTS}{query}");
        titles(&self.send("", Method::GET, &path, Value::Null).await.data())
    }

    async fn own(&self, query: &str) -> Vec<String> {
        let path = format!("{OWN}{query}");
        titles(&self.send(&self.ada, Method::GET, &path, Value::Null).await.data())
    }

    /// Until so many jobs have seen to posts whose time had come.
    async fn wait_for_jobs(&self, count: u64) {
        let staff = self.app.admin_token().await;
        let jobs = "/api/v1/backoffice/jobs?kind=post.publish&state=succeeded";
        wait(async || {
            let jobs = self.app.get(jobs).bearer(&staff).send().await.data();
            (jobs["total"] == count).then_some(())
        })
        .await;
    }

    /// Has jobs done whose time has come, after so long. Sessions are shorter: Ada's is another one then.
    async fn later(&mut self, time: TimeDelta) {
        self.app.clock.advance(time);
        self.app.core.jobs.waker.wake();
        self.ada = text(&self.app.login(ADA).await["access_token"]);
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

pub fn titles(page: &Value) -> Vec<String> {
    page["items"].as_array().expect("a list").iter().map(|item| text(&item["title"])).collect()
}

#[tokio::test]
async fn a_draft_is_its_authors_until_it_is_published() {
    let stage = Stage::set().await;
    let body = json!({"title": "On Engines", "body": "They *weave*.", "tags": ["computing"]});
    let post = stage.send(&stage.ada, Method::POST, POSTS, body).await.data();
    let (id, slug) = (text(&post["id"]), text(&post["slug"]));
    assert!(slug.starts_with("on-engines-") && post["status"] == "draft", "{post}");
    assert_eq!(post["html"], "<p>They <em>weave</em>.</p>\n");
    assert_eq!((&post["author"]["name"], &post["tags"]), (&json!("Ada"), &json!(["computing"])));
    assert!(post.get("published_at").is_none() && post.get("hidden_reason").is_none(), "{post}");
    for name in [&id, &slug] {
        assert_eq!(stage.read(&stage.ada, name).await.data(), post);
        for token in ["", &stage.bob] {
            stage.read(token, name).await.assert_error(404, "not_found");
        }
    }
    assert!(stage.feed("").await.is_empty());
    stage.app.clock.advance(TimeDelta::minutes(1));
    let published = stage.act(&id, "publish").await.data();
    assert_eq!(published["status"], "published");
    for (token, name) in [("", &id), (&stage.bob, &slug), (&stage.ada, &id)] {
        assert_eq!(stage.read(token, name).await.data(), published);
    }
    assert_eq!(stage.feed("").await, ["On Engines"]);
    stage.act(&id, "publish").await.assert_error(409, "post_in_other_state");

    let draft = stage.act(&id, "unpublish").await.data();
    assert!(draft["status"] == "draft" && draft.get("published_at").is_none(), "{draft}");
    stage.read(&stage.bob, &id).await.assert_error(404, "not_found");
    assert!(stage.feed("").await.is_empty());
    stage.act(&id, "unpublish").await.assert_error(409, "post_in_other_state");
}

#[tokio::test]
async fn only_the_author_changes_a_post_and_only_as_it_was_read() {
    let stage = Stage::set().await;
    let id = stage.published("First", &["a", "b"]).await;
    let path = format!("{POSTS}/{id}");
    let tag = stage.read(&stage.ada, &id).await.header("etag").to_owned();
    let patch = async |token: &str, body: Value| {
        let request = stage.app.request(Method::PATCH, &path).bearer(token);
        request.header("if-match", &tag).json(body).send().await
    };
    patch(&stage.bob, json!({"title": "Bob's"})).await.assert_error(404, "not_found");
    let before = stage.read("", &id).await.data();
    let body = json!({"title": "Second", "body": "**New**", "tags": []});
    let post = patch(&stage.ada, body).await.data();
    assert_eq!((&post["title"], &post["tags"]), (&json!("Second"), &json!([])));
    assert_eq!(
        (&post["html"], &post["body"]),
        (&json!("<p><strong>New</strong></p>\n"), &json!("**New**"))
    );
    assert_eq!((&post["slug"], &post["status"]), (&before["slug"], &json!("published")));
    let feed = stage.send("", Method::GET, POSTS, Value::Null).await.data();
    assert_eq!(feed["items"][0]["excerpt"], "New");
    assert_eq!(stage.read("", &id).await.data(), post);
    patch(&stage.ada, json!({"title": "Third"})).await.assert_error(412, "precondition_failed");
    let delete = stage.app.request(Method::DELETE, &path).bearer(&stage.ada);
    delete.header("if-match", &tag).send().await.assert_error(412, "precondition_failed");
    let only = stage.send(&stage.ada, Method::PATCH, &path, json!({"tags": ["c"]})).await.data();
    assert_eq!((&only["title"], &only["html"]), (&post["title"], &post["html"]));
    for method in [Method::DELETE, Method::PATCH] {
        let body = if method == Method::PATCH { json!({"title": "x"}) } else { Value::Null };
        stage.send(&stage.bob, method, &path, body).await.assert_error(404, "not_found");
    }
    assert_eq!(stage.read("", &id).await.data(), only);
}

#[tokio::test]
async fn a_scheduled_post_is_published_when_its_time_has_come() {
    let mut stage = Stage::set().await;
    let id = stage.draft("Later", &[]).await;
    let schedule = |stage: &Stage, hours| {
        let body = json!({"publish_at": stage.app.clock.now() + TimeDelta::hours(hours)});
        stage.send(&stage.ada, Method::POST, &format!("{POSTS}/{id}/schedule"), body)
    };
    let faults = schedule(&stage, -1).await.faults();
    assert_eq!(faults, [("publish_at".to_owned(), "past".to_owned())]);
    assert_eq!(schedule(&stage, 2).await.data()["status"], "scheduled");
    // Another time: what was ordered for the first one has no effect.
    let post = schedule(&stage, 30).await.data();
    assert!(stage.feed("").await.is_empty());
    stage.read(&stage.bob, &id).await.assert_error(404, "not_found");
    stage.later(TimeDelta::hours(3)).await;
    stage.wait_for_jobs(1).await;
    assert_eq!(stage.status(&id).await, "scheduled");
    stage.later(TimeDelta::hours(28)).await;
    wait(async || (stage.status(&id).await == "published").then_some(())).await;
    let published = stage.read("", &id).await.data();
    assert_eq!(published["published_at"], post["published_at"], "since the time that was said");
    assert_eq!(stage.feed("").await, ["Later"]);
    schedule(&stage, 1).await.assert_error(409, "post_in_other_state");
}

#[tokio::test]
async fn what_was_scheduled_can_be_published_at_once_or_not_at_all() {
    let mut stage = Stage::set().await;
    let (now, never) = (stage.draft("Now", &[]).await, stage.draft("Never", &[]).await);
    for id in [&now, &never] {
        let body = json!({"publish_at": stage.app.clock.now() + TimeDelta::hours(1)});
        let path = format!("{POSTS}/{id}/schedule");
        stage.send(&stage.ada, Method::POST, &path, body).await.data();
    }
    let published = stage.act(&now, "publish").await.data();
    let since: DateTime<Utc> = text(&published["published_at"]).parse().expect("a time");
    assert!(since <= stage.app.clock.now(), "not when it was to be: {since}");
    stage.act(&never, "unpublish").await.data();
    stage.later(TimeDelta::hours(2)).await;
    stage.wait_for_jobs(2).await;
    assert_eq!(stage.status(&never).await, "draft");
    assert_eq!(stage.read("", &now).await.data()["published_at"], published["published_at"]);
}

#[tokio::test]
async fn a_deleted_post_is_in_the_bin_for_a_while() {
    let mut stage = Stage::set().await;
    let id = stage.published("Gone", &[]).await;
    stage.act(&id, "restore").await.assert_error(409, "post_in_other_state");
    let path = format!("{POSTS}/{id}");
    let delete = async |stage: &Stage| {
        stage.send(&stage.ada, Method::DELETE, &path, Value::Null).await.status
    };
    assert_eq!(delete(&stage).await, 204);
    for token in ["", &stage.bob, &stage.ada] {
        stage.read(token, &id).await.assert_error(404, "not_found");
    }
    for what in ["publish", "unpublish"] {
        stage.act(&id, what).await.assert_error(404, "not_found");
    }
    assert_eq!(delete(&stage).await, 404);
    assert!(stage.own("").await.is_empty() && stage.feed("").await.is_empty());
    assert_eq!(stage.own("?status=deleted").await, ["Gone"]);
    let bob = stage.send(&stage.bob, Method::POST, &format!("{path}/restore"), Value::Null).await;
    bob.assert_error(404, "not_found");
    assert_eq!(stage.act(&id, "restore").await.data()["status"], "published");
    assert_eq!(stage.feed("").await, ["Gone"]);

    // The bin is emptied after 30 days, and of nothing else.
    let kept = stage.draft("Kept", &[]).await;
    assert_eq!(delete(&stage).await, 204);
    let empty = "/api/v1/backoffice/schedules/posts/run";
    stage.app.add_admin().await;
    for (days, left) in [(29, &["Gone"][..]), (2, &[])] {
        stage.later(TimeDelta::days(days)).await;
        let staff = text(&stage.app.admin_login().await["access_token"]);
        let asked = stage.app.request(Method::POST, empty).bearer(&staff).send().await;
        let place = asked.header("location").to_owned();
        wait(async || {
            let job = stage.app.get(&place).bearer(&staff).send().await.data();
            (job["state"] == "succeeded").then_some(())
        })
        .await;
        // The schedule's own may be doing the same.
        wait(async || (stage.own("?status=deleted").await == left).then_some(())).await;
    }
    stage.act(&id, "restore").await.assert_error(404, "not_found");
    assert_eq!(stage.status(&kept).await, "draft");
}

#[tokio::test]
async fn the_feed_goes_on_by_cursor_and_is_narrowed_by_tag_and_author() {
    let stage = Stage::set().await;
    for (title, tags) in
        [("one", &["odd"][..]), ("two", &["even", "prime"]), ("three", &["odd", "prime"])]
    {
        stage.published(title, tags).await;
    }
    stage.draft("four", &["even"]).await;
    assert_eq!(stage.feed("").await, ["three", "two", "one"]);
    assert_eq!(stage.feed("?sort=published_at").await, ["one", "two", "three"]);
    assert_eq!(stage.feed("?tag=prime").await, ["three", "two"]);
    assert_eq!(stage.feed("?tag=even").await, ["two"]);
    assert!(stage.feed("?tag=none").await.is_empty());
    let page = stage.send("", Method::GET, &format!("{POSTS}?limit=2"), Value::Null).await.data();
    assert_eq!((titles(&page).len(), &page["has_more"]), (2, &json!(true)));
    assert_eq!(page["items"][0]["excerpt"], "Of three.");
    let cursor = text(&page["next_cursor"]);
    assert_eq!(stage.feed(&format!("?limit=2&cursor={cursor}")).await, ["one"]);
    let other =
        stage.send("", Method::GET, &format!("{POSTS}?tag=odd&cursor={cursor}"), Value::Null);
    assert_eq!(other.await.faults(), [("cursor".to_owned(), "invalid_cursor".to_owned())]);
    let author = text(&page["items"][0]["author"]["id"]);
    assert_eq!(stage.feed(&format!("?author_id={author}&tag=odd")).await, ["three", "one"]);
    let nobody = "01975b2e-7c40-7000-8000-000000000001";
    assert!(stage.feed(&format!("?author_id={nobody}")).await.is_empty());

    assert_eq!(stage.own("").await, ["four", "three", "two", "one"]);
    assert_eq!(stage.own("?status=draft").await, ["four"]);
    assert_eq!(stage.own("?status=published&limit=1").await, ["three"]);
    let bob = stage.send(&stage.bob, Method::GET, OWN, Value::Null).await.data();
    assert!(titles(&bob).is_empty());
}

#[tokio::test]
async fn a_post_has_its_limits() {
    let stage = Stage::set().await;
    let tags = |count: usize| -> Vec<String> { (0..count).map(|n| format!("t{n}")).collect() };
    let post = |title: String, body: String, tags: Value| {
        let body = json!({"title": title, "body": body, "tags": tags});
        stage.send(&stage.ada, Method::POST, POSTS, body)
    };
    let (title, body) = (|| "x".repeat(200), || "ä".repeat(50_000));
    assert_eq!(post(title(), body(), json!(tags(10))).await.status, 200);
    let refused = vec![
        (post(title() + "x", body(), json!([])), "title", "too_long"),
        (post(String::new(), body(), json!([])), "title", "too_short"),
        (post(" \t".to_owned(), body(), json!([])), "title", "pattern"),
        (post("a\nb".to_owned(), body(), json!([])), "title", "pattern"),
        (post(title(), body() + "x", json!([])), "body", "too_long"),
        (post(title(), String::new(), json!([])), "body", "too_short"),
        (post(title(), "a\0b".to_owned(), json!([])), "body", "invalid_character"),
        (post(title(), ">".repeat(1000), json!([])), "body", "too_complex"),
        (post(title(), body(), json!(tags(11))), "tags", "too_many"),
        (post(title(), body(), json!(["a", "a"])), "tags[1]", "repeated"),
        (post(title(), body(), json!(["A"])), "tags[0]", "pattern"),
        (post(title(), body(), json!([""])), "tags[0]", "too_short"),
    ];
    for (answer, field, rule) in refused {
        assert_eq!(answer.await.faults(), [(field.to_owned(), rule.to_owned())]);
    }
}

#[tokio::test]
async fn what_is_unchanged_need_not_be_sent_again() {
    let stage = Stage::set().await;
    let id = stage.published("One", &["x"]).await;
    for path in [POSTS.to_owned(), format!("{POSTS}?tag=x"), format!("{POSTS}/{id}")] {
        let answer = stage.app.get(&path).send().await;
        answer.data();
        let tag = answer.header("etag").to_owned();
        let again = async || stage.app.get(&path).header("if-none-match", &tag).send().await;
        assert_eq!(again().await.status, 304, "{path}");
        let change = stage.app.request(Method::PATCH, &format!("{POSTS}/{id}")).bearer(&stage.ada);
        change.json(json!({"title": format!("As of {path}")})).send().await.data();
        assert_eq!(again().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn only_as_it_was_read_a_post_is_published_or_taken_back() {
    let stage = Stage::set().await;
    let id = stage.draft("Draft", &[]).await;
    let at = stage.app.clock.now() + TimeDelta::hours(1);
    for what in ["publish", "schedule", "unpublish"] {
        let body = if what == "schedule" { json!({"publish_at": at}) } else { Value::Null };
        let request = stage.app.request(Method::POST, &format!("{POSTS}/{id}/{what}"));
        let request = request.bearer(&stage.ada).header("if-match", "\"another\"");
        let request = if body.is_null() { request } else { request.json(body) };
        request.send().await.assert_error(412, "precondition_failed");
    }
    assert_eq!(stage.status(&id).await, "draft");
}

#[tokio::test]
async fn what_becomes_due_in_the_bin_is_published_once_it_is_back() {
    let mut stage = Stage::set().await;
    let id = stage.draft("Due", &[]).await;
    let body = json!({"publish_at": stage.app.clock.now() + TimeDelta::hours(1)});
    stage.send(&stage.ada, Method::POST, &format!("{POSTS}/{id}/schedule"), body).await.data();
    let path = format!("{POSTS}/{id}");
    assert_eq!(stage.send(&stage.ada, Method::DELETE, &path, Value::Null).await.status, 204);
    stage.later(TimeDelta::hours(2)).await;
    stage.wait_for_jobs(1).await;
    stage.read("", &id).await.assert_error(404, "not_found");
    assert_eq!(stage.act(&id, "restore").await.data()["status"], "published");
}
