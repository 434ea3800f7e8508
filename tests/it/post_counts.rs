//! What users make of posts, how posts are found, and what they were.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::db::Origin;

use crate::{
    posts::{Stage, text, titles},
    support::{cluster::connect, wait},
};

const POSTS: &str = "/api/v1/posts";

impl Stage {
    async fn reactions(&self, token: &str, id: &str) -> Value {
        let path = format!("{POSTS}/{id}/reactions");
        self.send(token, Method::GET, &path, Value::Null).await.data()
    }

    async fn comment(&self, token: &str, id: &str, body: &str) -> Value {
        let path = format!("{POSTS}/{id}/comments");
        self.send(token, Method::POST, &path, json!({"body": body})).await.data()
    }

    async fn list(&self, token: &str, path: &str) -> Vec<Value> {
        let page = self.send(token, Method::GET, path, Value::Null).await.data();
        page["items"].as_array().expect("a list").clone()
    }

    /// Has the counts added up.
    async fn add_up(&self) {
        while twofold::services::posts::reactions::add_counts(
            &self.app.core,
            &Origin::system("test"),
            2,
        )
        .await
        .expect("added")
            > 0
        {}
        while twofold::services::posts::words::count(&self.app.core, 2).await.expect("counted") > 0
        {
        }
    }

    async fn tags(&self, query: &str) -> Vec<(String, i64)> {
        let tags = self.list("", &format!("/api/v1/tags{query}")).await.into_iter();
        tags.map(|tag| (text(&tag["name"]), tag["posts"].as_i64().expect("a number"))).collect()
    }

    async fn found(&self, query: &str) -> Vec<String> {
        let path = format!("{POSTS}/search?{query}");
        titles(&self.send("", Method::GET, &path, Value::Null).await.data())
    }
}

fn reactions(likes: i64, comments: i64, is_liked: bool) -> Value {
    json!({"likes": likes, "comments": comments, "is_liked": is_liked})
}

#[tokio::test]
async fn likes_count_once_for_each_user_and_lists_follow() {
    let stage = Stage::set().await;
    let id = stage.published("Liked", &[]).await;
    let tag = stage.read("", &id).await.header("etag").to_owned();
    let like = format!("{POSTS}/{id}/like");
    let send = async |stage: &Stage, token: &str, method| {
        stage.send(token, method, &like, Value::Null).await
    };
    // Fifty at once of one user are one.
    let all =
        join_all((0..50).map(|_| stage.send(&stage.bob, Method::PUT, &like, Value::Null))).await;
    assert!(all.iter().all(|answer| answer.data() == reactions(1, 0, true)));
    assert_eq!(send(&stage, &stage.ada, Method::PUT).await.data(), reactions(2, 0, true));
    assert_eq!(stage.reactions("", &id).await, reactions(2, 0, false));
    let feed = async |stage: &Stage| stage.list("", POSTS).await[0]["likes"].clone();
    stage.add_up().await;
    assert_eq!(
        (stage.reactions("", &id).await, feed(&stage).await),
        (reactions(2, 0, false), json!(2))
    );
    for _ in 0..2 {
        assert_eq!(send(&stage, &stage.ada, Method::DELETE).await.status, 204);
    }
    assert_eq!(stage.reactions(&stage.ada, &id).await, reactions(1, 0, false));
    assert_eq!(stage.read("", &id).await.header("etag"), tag, "the post is what its author wrote");
    // A schedule adds up.
    stage.app.clock.advance(TimeDelta::minutes(2));
    wait(async || (feed(&stage).await == 1).then_some(())).await;

    // What an account liked goes with it.
    let draft = stage.draft("Mine", &[]).await;
    let unseen = stage.send(&stage.bob, Method::PUT, &format!("{POSTS}/{draft}/like"), Value::Null);
    unseen.await.assert_error(404, "not_found");
    let db = crate::support::cluster::connect(stage.app.database_url()).await;
    db.execute("DELETE FROM users WHERE email = 'bob@example.com'", &[]).await.expect("gone");
    assert_eq!(stage.reactions("", &id).await, reactions(0, 0, false));
    stage.add_up().await;
    assert_eq!(stage.reactions("", &id).await, reactions(0, 0, false));
}

#[tokio::test]
async fn comments_are_harmless_and_deleted_by_who_may() {
    let stage = Stage::set().await;
    let id = stage.published("Said", &[]).await;
    let draft = stage.draft("Mine", &[]).await;
    let comments = format!("{POSTS}/{id}/comments");
    let first = stage.comment(&stage.bob, &id, "*First* <script>").await;
    assert_eq!(first["html"], "<p><em>First</em> &lt;script&gt;</p>\n");
    stage.app.clock.advance(TimeDelta::seconds(1));
    let second = stage.comment(&stage.ada, &id, "Second").await;
    assert_eq!(stage.list("", &comments).await, [first.clone(), second.clone()]);
    assert_eq!(
        stage.list(&stage.bob, &format!("{comments}?sort=-created_at&limit=1")).await,
        std::slice::from_ref(&second)
    );
    assert_eq!(stage.reactions("", &id).await, reactions(0, 2, false));
    // They are so once they are added up, and in lists.
    stage.add_up().await;
    assert_eq!(stage.reactions("", &id).await, reactions(0, 2, false));
    assert_eq!(stage.list("", POSTS).await[0]["comments"], 2);
    for (path, method) in
        [("comments", Method::GET), ("comments", Method::POST), ("reactions", Method::GET)]
    {
        let body = if method == Method::POST { json!({"body": "x"}) } else { Value::Null };
        let unseen = stage.send(&stage.bob, method, &format!("{POSTS}/{draft}/{path}"), body).await;
        unseen.assert_error(404, "not_found");
    }
    let faults = stage.send(&stage.bob, Method::POST, &comments, json!({"body": "x".repeat(5001)}));
    assert_eq!(faults.await.faults(), [("body".to_owned(), "too_long".to_owned())]);

    let delete = async |token: &str, comment: &Value| {
        let path = format!("/api/v1/comments/{}", text(&comment["id"]));
        stage.send(token, Method::DELETE, &path, Value::Null).await
    };
    delete(&stage.bob, &second).await.assert_error(404, "not_found");
    assert_eq!(delete(&stage.ada, &first).await.status, 204, "on her own post");
    let third = stage.comment(&stage.bob, &id, "Third").await;
    assert_eq!(delete(&stage.bob, &third).await.status, 204, "his own");
    delete(&stage.bob, &third).await.assert_error(404, "not_found");
    assert_eq!(stage.list("", &comments).await, [second]);
    let other = stage.published("Another", &[]).await;
    assert!(stage.list("", &format!("{POSTS}/{other}/comments")).await.is_empty());
    assert_eq!(stage.reactions("", &id).await, reactions(0, 1, false));
}

#[tokio::test]
async fn tags_count_what_is_published() {
    let stage = Stage::set().await;
    let one = stage.published("one", &["computing", "common"]).await;
    let two = stage.published("two", &["common", "cats"]).await;
    stage.draft("three", &["common", "drafts"]).await;
    stage.add_up().await;
    let tag = |name: &str, posts| (name.to_owned(), posts);
    assert_eq!(stage.tags("").await, [tag("common", 2), tag("cats", 1), tag("computing", 1)]);
    assert_eq!(stage.tags("?q=com&limit=1").await, [tag("common", 2)]);
    assert_eq!(stage.tags("?q=com").await, [tag("common", 2), tag("computing", 1)]);
    stage.act(&two, "unpublish").await.data();
    let retag = json!({"tags": ["computing", "engines"]});
    stage.send(&stage.ada, Method::PATCH, &format!("{POSTS}/{one}"), retag).await.data();
    stage.add_up().await;
    assert_eq!(stage.tags("").await, [tag("computing", 1), tag("engines", 1)]);
    stage.send(&stage.ada, Method::DELETE, &format!("{POSTS}/{one}"), Value::Null).await;
    stage.add_up().await;
    assert!(stage.tags("").await.is_empty());
    stage.act(&one, "restore").await.data();
    stage.add_up().await;
    assert_eq!(stage.tags("?q=e").await, [tag("engines", 1)]);
}

#[tokio::test]
async fn what_a_post_was_can_be_had_again() {
    let stage = Stage::set().await;
    let id = stage.published("First", &["a"]).await;
    let path = format!("{POSTS}/{id}");
    let first = stage.read("", &id).await.data();
    let patch = async |body: Value| {
        stage.app.clock.advance(TimeDelta::seconds(1));
        stage.send(&stage.ada, Method::PATCH, &path, body).await.data()
    };
    patch(json!({"title": "Second", "body": "**Second**"})).await;
    patch(json!({"title": "Second"})).await;
    patch(json!({"tags": ["b"]})).await;
    let revisions = format!("{path}/revisions");
    let found = stage.list(&stage.ada, &revisions).await;
    let short = |revision: &Value| (text(&revision["title"]), revision["tags"].clone());
    let expected = [("Second".to_owned(), json!(["a"])), ("First".to_owned(), json!(["a"]))];
    assert_eq!(
        found.iter().map(short).collect::<Vec<_>>(),
        expected,
        "a change of nothing is none"
    );
    stage
        .send(&stage.bob, Method::GET, &revisions, Value::Null)
        .await
        .assert_error(404, "not_found");

    let oldest = format!("{revisions}/{}/restore", text(&found[1]["id"]));
    stage.send(&stage.bob, Method::POST, &oldest, Value::Null).await.assert_error(404, "not_found");
    let stale =
        stage.app.request(Method::POST, &oldest).bearer(&stage.ada).header("if-match", "\"x\"");
    stale.send().await.assert_error(412, "precondition_failed");
    stage.app.clock.advance(TimeDelta::seconds(1));
    let restored = stage.send(&stage.ada, Method::POST, &oldest, Value::Null).await.data();
    for field in ["title", "body", "html", "tags", "slug", "status"] {
        assert_eq!(restored[field], first[field], "{field}");
    }
    assert_eq!(stage.list(&stage.ada, &revisions).await.len(), 3, "what it was before, too");
    let other = stage.draft("Other", &[]).await;
    let foreign = oldest.replace(&id, &other);
    stage
        .send(&stage.ada, Method::POST, &foreign, Value::Null)
        .await
        .assert_error(404, "not_found");

    for number in 0..100 {
        patch(json!({"title": format!("Title {number}")})).await;
    }
    let page = stage.list(&stage.ada, &format!("{revisions}?sort=created_at&limit=100")).await;
    assert_eq!(
        (page.len(), text(&page[0]["title"])),
        (100, "First".to_owned()),
        "the last hundred"
    );
    assert_eq!(page[99]["title"], "Title 98");
}

#[tokio::test]
async fn the_posts_that_fit_best_are_found_first() {
    let stage = Stage::set().await;
    for title in
        ["Of cats", "Cats, cats and dogs", "About dogs", "Über Katzen, 3.14 & user@example.com"]
    {
        stage.published(title, &[]).await;
    }
    stage.draft("Secret cats", &[]).await;
    stage.add_up().await;
    assert_eq!(stage.found("q=cats").await, ["Cats, cats and dogs", "Of cats"]);
    assert_eq!(stage.found("q=CAT").await, ["Cats, cats and dogs", "Of cats"], "as it is typed");
    assert_eq!(stage.found("q=cats%20dog").await, ["Cats, cats and dogs"]);
    for (query, count) in [
        ("dog%20cats", 0),
        ("ats", 0),
        ("%C3%BCber%20KATZ", 1),
        ("example", 1),
        ("3.14", 1),
        ("user%40example.com", 1),
        ("%27%20%26%20%21%28%7C%3A*", 0),
        ("a%20%26%20b%5C", 0),
        ("%F0%9F%A6%80", 0),
    ] {
        assert_eq!(stage.found(&format!("q={query}")).await.len(), count, "{query}");
    }
    let path = format!("{POSTS}/search?q=cats&limit=1");
    let page = stage.send("", Method::GET, &path, Value::Null).await.data();
    assert_eq!(
        (titles(&page), &page["has_more"]),
        (vec!["Cats, cats and dogs".to_owned()], &json!(true))
    );
    let cursor = text(&page["next_cursor"]);
    assert_eq!(stage.found(&format!("q=cats&limit=1&cursor={cursor}")).await, ["Of cats"]);
    let other =
        stage.send("", Method::GET, &format!("{POSTS}/search?q=dogs&cursor={cursor}"), Value::Null);
    assert_eq!(other.await.faults(), [("cursor".to_owned(), "invalid_cursor".to_owned())]);
    let without = stage.send("", Method::GET, &format!("{POSTS}/search"), Value::Null).await;
    assert_eq!(without.faults(), [("q".to_owned(), "required".to_owned())]);
}

#[tokio::test]
async fn what_goes_with_a_post_is_counted_at_once() {
    let stage = Stage::set().await;
    let id = stage.published("Liked", &[]).await;
    for token in [&stage.ada, &stage.bob] {
        stage.send(token, Method::PUT, &format!("{POSTS}/{id}/like"), Value::Null).await.data();
        stage.comment(token, &id, "Fine.").await;
    }
    stage.add_up().await;
    let sql = connect(stage.app.database_url()).await;
    sql.execute("DELETE FROM posts WHERE id::text = $1", &[&id]).await.expect("deleted");
    let changes = "SELECT likes, comments FROM post_count_changes ORDER BY likes";
    let rows = sql.query(changes, &[]).await.expect("found");
    let counts: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counts, [(-2, 0), (0, -2)], "a row for all likes, and one for all comments");
}

#[tokio::test]
async fn the_beginning_of_a_word_stands_for_the_words_of_most_posts() {
    let stage = Stage::set().await;
    // 21 words, of which one is in two posts.
    let words = |range: std::ops::Range<u32>| {
        range.map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ")
    };
    for title in [words(10..20), words(20..31)] {
        stage.published(&title, &[]).await;
    }
    let twice = stage.published("w30", &[]).await;
    stage.draft("wless", &[]).await;
    stage.add_up().await;
    assert_eq!(stage.found("q=w").await.len(), 3);
    assert_eq!(stage.found("q=w30").await.len(), 2);
    let edit = async |title: &str| {
        let path = format!("{POSTS}/{twice}");
        stage
            .send(&stage.ada, Method::PATCH, &path, json!({"title": title, "body": "x"}))
            .await
            .data();
        stage.add_up().await;
    };
    // What only comes in the 21st place is found in full, as is the beginning itself where it is a word.
    edit("w31").await;
    assert_eq!(stage.found("q=w").await.len(), 2);
    assert_eq!(stage.found("q=w31").await, ["w31"]);
    edit("w").await;
    assert_eq!(stage.found("q=w").await.len(), 3);
    assert!(stage.found("q=wl").await.is_empty(), "of a draft");
    stage.act(&twice, "unpublish").await.data();
    assert_eq!(stage.found("q=w").await.len(), 2);
    stage.act(&twice, "publish").await.data();
    assert_eq!(stage.found("q=w").await.len(), 3);
}

#[tokio::test]
async fn a_word_that_no_post_has_any_more_is_forgotten() {
    let stage = Stage::set().await;
    stage.published("kept shared", &[]).await;
    let gone = stage.published("confession shared", &[]).await;
    stage.add_up().await;
    let sql = connect(stage.app.database_url()).await;
    let words = async || -> Vec<String> {
        let all =
            "SELECT name FROM words WHERE name IN ('kept', 'shared', 'confession') ORDER BY name";
        sql.query(all, &[]).await.expect("read").iter().map(|row| row.get(0)).collect()
    };
    sql.execute("DELETE FROM posts WHERE id::text = $1", &[&gone]).await.expect("deleted");
    let forget = async || {
        while twofold::services::posts::words::forget(&stage.app.core, 2).await.expect("done") > 0 {
        }
        words().await
    };
    stage.app.clock.advance(TimeDelta::days(29));
    assert_eq!(forget().await, ["confession", "kept", "shared"]);
    stage.app.clock.advance(TimeDelta::days(2));
    assert_eq!(forget().await, ["kept", "shared"]);
    // They were looked at just now.
    let looked_at = twofold::services::posts::words::forget(&stage.app.core, 2).await;
    assert_eq!(looked_at.expect("done"), 0);
}

#[tokio::test]
async fn whatever_its_author_changes_alone_is_kept_with_the_post() {
    let stage = Stage::set().await;
    let id = stage.published("First", &["a"]).await;
    let revisions = |id: &str| format!("{POSTS}/{id}/revisions");
    for (count, body) in
        [json!({"title": "x"}), json!({"body": "x"}), json!({"tags": ["x"]})].iter().enumerate()
    {
        stage.send(&stage.ada, Method::PATCH, &format!("{POSTS}/{id}"), body.clone()).await.data();
        assert_eq!(stage.list(&stage.ada, &revisions(&id)).await.len(), count + 1, "{body}");
    }
    let other = stage.draft("Other", &[]).await;
    assert!(stage.list(&stage.ada, &revisions(&other)).await.is_empty());
}
