//! Covers and attachments of posts.

use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    files::{self, FILES, PDF, PNG},
    posts::{Stage as Users, text},
    session_check::hears,
    support::http::Answer,
};

const POSTS: &str = "/api/v1/posts";

/// Two users, the first of whom has files.
struct Stage {
    files: files::Stage<Users>,
}

impl std::ops::Deref for Stage {
    type Target = Users;

    fn deref(&self) -> &Users {
        &self.files.app
    }
}

impl Stage {
    async fn set() -> Self {
        let users = Users::set().await;
        let token = users.ada.clone();
        Self { files: files::Stage::of(users, token) }
    }

    async fn cover(&self) -> String {
        let bytes = files::picture(64, 48, ImageFormat::Png);
        text(&self.files.processed("post_cover", "image/png", &bytes).await["id"])
    }

    async fn patch(&self, id: &str, body: Value) -> Answer {
        self.send(&self.ada, Method::PATCH, &format!("{POSTS}/{id}"), body).await
    }

    async fn list(&self, path: &str) -> Value {
        self.send(&self.ada, Method::GET, path, Value::Null).await.data()["items"][0].clone()
    }

    fn download(&self, token: &str, post: &str, file: &str) -> impl Future<Output = Answer> {
        let path = format!("{POSTS}/{post}/attachments/{file}/download");
        self.send(token, Method::GET, &path, Value::Null)
    }
}

fn ids(post: &Value) -> Vec<String> {
    let attachments = post["attachments"].as_array().expect("a list");
    attachments.iter().map(|file| text(&file["id"])).collect()
}

#[tokio::test]
async fn a_post_has_a_cover_and_attachments_until_they_are_taken_away() {
    let stage = Stage::set().await;
    let cover = stage.cover().await;
    let (one, two) = (
        stage.files.ready("application/pdf", PDF).await,
        stage.files.ready("image/png", PNG).await,
    );
    let body = json!({"title": "Shown", "body": "It is.", "cover_id": cover,
                      "attachment_ids": [two, one]});
    let post = stage.send(&stage.ada, Method::POST, POSTS, body).await.data();
    let (id, url) = (text(&post["id"]), format!("/api/v1/pictures/{cover}"));
    assert_eq!((&post["cover_url"], ids(&post)), (&json!(url), vec![two.clone(), one.clone()]));
    let file = json!({"id": two, "name": "a file", "content_type": "image/png",
                      "size": PNG.len()});
    assert_eq!(post["attachments"][0], file);
    stage.act(&id, "publish").await.data();
    assert_eq!(stage.app.get(&url).send().await.status, 200);
    for path in [POSTS, "/api/v1/users/me/posts"] {
        assert_eq!(stage.list(path).await["cover_url"], url, "{path}");
    }
    let admin = stage.app.admin_token().await;
    let path = format!("/api/v1/backoffice/posts/{id}");
    let managed = stage.send(&admin, Method::GET, &path, Value::Null).await.data();
    assert_eq!(
        (text(&managed["cover_id"]), ids(&managed)),
        (cover, vec![two.clone(), one.clone()])
    );

    // What isn't named stays; another order is another one, and another state.
    let tag = stage.read(&stage.ada, &id).await.header("etag").to_owned();
    let post = stage.patch(&id, json!({"title": "Still"})).await.data();
    assert_eq!((&post["cover_url"], ids(&post)), (&json!(url), vec![two.clone(), one.clone()]));
    let post = stage.patch(&id, json!({"attachment_ids": [one, two]})).await.data();
    assert_eq!(ids(&post), [one.clone(), two.clone()]);
    let late = stage.app.request(Method::PATCH, &format!("{POSTS}/{id}")).bearer(&stage.ada);
    let late = late.header("if-match", &tag).json(json!({"attachment_ids": []})).send().await;
    late.assert_error(412, "precondition_failed");
    let post = stage.patch(&id, json!({"attachment_ids": [two], "cover_id": null})).await.data();
    assert_eq!((post.get("cover_url"), ids(&post)), (None, vec![two]));
    assert_eq!(stage.read("", &id).await.data(), post);
    assert_eq!(stage.list(POSTS).await.get("cover_url"), None);
}

#[tokio::test]
async fn c16_only_ones_own_files_for_this_purpose_come_with_a_post() {
    let stage = Stage::set().await;
    let id = stage.draft("Mine", &[]).await;
    let before = stage.read(&stage.ada, &id).await.data();
    let (cover, file) = (stage.cover().await, stage.files.ready("application/pdf", PDF).await);
    let pending = text(&stage.files.pending("application/pdf", PDF).await["file"]["id"]);
    let bobs = files::Stage::of(&stage.app, stage.bob.clone());
    let foreign = bobs.ready("application/pdf", PDF).await;
    let unknown = "01975b2e-7c40-7000-8000-000000000001".to_owned();
    let new = |body: Value| {
        let mut draft = json!({"title": "Mine", "body": "Mine."});
        draft.as_object_mut().expect("one").extend(body.as_object().expect("one").clone());
        draft
    };
    for (body, field) in [
        (json!({"cover_id": file}), "cover_id"),
        (json!({"cover_id": unknown}), "cover_id"),
        (json!({"attachment_ids": [file, cover]}), "attachment_ids[1]"),
        (json!({"attachment_ids": [foreign, file]}), "attachment_ids[0]"),
        (json!({"attachment_ids": [unknown]}), "attachment_ids[0]"),
    ] {
        let expected = [(field.to_owned(), "unknown_file".to_owned())];
        assert_eq!(stage.patch(&id, body.clone()).await.faults(), expected, "{body}");
        let made = stage.send(&stage.ada, Method::POST, POSTS, new(body)).await;
        assert_eq!(made.faults(), expected);
    }
    let body = json!({"attachment_ids": [pending]});
    stage.patch(&id, body.clone()).await.assert_error(409, "file_not_ready");
    let made = stage.send(&stage.ada, Method::POST, POSTS, new(body)).await;
    made.assert_error(409, "file_not_ready");
    let many: Vec<String> =
        (0..11).map(|n| format!("01975b2e-7c40-7000-8000-0000000000{n:02}")).collect();
    let too_many = [("attachment_ids".to_owned(), "too_many".to_owned())];
    assert_eq!(stage.patch(&id, json!({"attachment_ids": many})).await.faults(), too_many);
    assert_eq!(stage.read(&stage.ada, &id).await.data(), before, "nothing has changed");
}

#[tokio::test]
async fn c16_attachments_are_for_who_can_see_the_post() {
    let stage = Stage::set().await;
    let file = stage.files.ready("application/pdf", PDF).await;
    let other = stage.files.ready("application/pdf", PDF).await;
    let id = stage.draft("With a file", &[]).await;
    stage.patch(&id, json!({"attachment_ids": [file]})).await.data();
    for token in ["", &stage.bob] {
        stage.download(token, &id, &file).await.assert_error(404, "not_found");
    }
    let url = text(&stage.download(&stage.ada, &id, &file).await.data()["url"]);
    assert_eq!(
        stage.files.http.get(url).send().await.expect("one").bytes().await.expect("read"),
        PDF
    );
    let slug = text(&stage.act(&id, "publish").await.data()["slug"]);
    for token in ["", &stage.bob] {
        for name in [&id, &slug] {
            let url = text(&stage.download(token, name, &file).await.data()["url"]);
            let answer = stage.files.http.get(url).send().await.expect("one");
            assert_eq!(answer.bytes().await.expect("read"), PDF);
        }
        // A file of the same user's that doesn't come with it.
        stage.download(token, &id, &other).await.assert_error(404, "not_found");
    }
    stage.download("", &id, "no-identifier").await.assert_error(404, "not_found");
}

#[tokio::test]
async fn a_file_that_is_deleted_comes_with_no_post_any_more() {
    let stage = Stage::set().await;
    let cover = stage.cover().await;
    let (one, two) = (
        stage.files.ready("application/pdf", PDF).await,
        stage.files.ready("application/pdf", PDF).await,
    );
    let id = stage.published("Shown", &[]).await;
    stage.patch(&id, json!({"cover_id": cover, "attachment_ids": [one, two]})).await.data();
    // From now on it is known.
    hears(&stage.app).await;
    assert_eq!(ids(&stage.read("", &id).await.data()), [one.clone(), two.clone()]);
    assert!(stage.list(POSTS).await.get("cover_url").is_some());
    assert_eq!(stage.files.delete(&one).await, 204);
    assert_eq!(ids(&stage.read("", &id).await.data()), std::slice::from_ref(&two));
    stage.download("", &id, &one).await.assert_error(404, "not_found");
    let admin = stage.app.admin_token().await;
    // One after the other: each is told of by itself.
    for (file, left) in [(&cover, vec![two.clone()]), (&two, vec![])] {
        let path = format!("/api/v1/backoffice/files/{file}");
        let done =
            stage.send(&admin, Method::DELETE, &path, json!({"reason": "Not theirs."})).await;
        assert_eq!(done.status, 204, "{}", done.text);
        let post = stage.read("", &id).await.data();
        assert_eq!((post.get("cover_url"), ids(&post)), (None, left));
        assert_eq!(stage.list(POSTS).await.get("cover_url"), None);
    }
    let gone = stage.send(&stage.ada, Method::GET, &format!("{FILES}/{two}"), Value::Null).await;
    gone.assert_error(404, "not_found");
}
