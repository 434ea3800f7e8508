//! Pictures for everybody, and files that come by way of the server.

use std::{
    borrow::Borrow,
    io::{self, Cursor},
};

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use image::{ImageFormat, Rgb, RgbImage};
use reqwest::Method;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use twofold::adapters::random::hex;

use super::{ADA, FILES, PDF, Server, Stage, attachment, on_both, text};
use crate::support::{TestApp, cluster::connect, http::Answer, wait};

on_both!(
    c22_a_picture_is_made_anew_and_shown_to_everybody,
    c22_bombs_and_broken_pictures_are_of_no_use,
    a_small_file_comes_by_way_of_the_server,
);

const AVATAR: &str = "/api/v1/users/me/avatar";
const SECRET: &[u8] = b"59.9139 N 10.7522 E";

pub fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture =
        RgbImage::from_fn(width, height, |x, _| Rgb([if x < width / 2 { 255 } else { 0 }, 0, 90]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("written");
    bytes.into_inner()
}

/// With a place in its Exif, which says as well that its top is at the right; a script follows its end.
fn telling() -> Vec<u8> {
    let jpeg = picture(900, 600, ImageFormat::Jpeg);
    let orientation = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
    let exif =
        [&b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01"[..], orientation, b"\0\0\0\0", SECRET].concat();
    let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..], b"<script>alert(1)</script>"].concat()
}

pub fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

impl<A: Borrow<TestApp>> Stage<A> {
    /// A picture that is uploaded, once something has become of it.
    pub async fn processed(&self, purpose: &str, kind: &str, bytes: &[u8]) -> Value {
        let body =
            json!({"name": "me", "content_type": kind, "size": bytes.len(), "purpose": purpose});
        let created = self.announce(body).await.data();
        self.upload(&created, bytes).await;
        let id = text(&created["file"]["id"]);
        self.complete(&id).await.data();
        wait(async || {
            let file = self.get(&format!("/{id}")).await.data();
            (file["state"] != "processing").then_some(file)
        })
        .await
    }
}

impl Stage {
    async fn set_avatar(&self, id: &Value) -> Answer {
        let request = self.app.request(Method::PUT, AVATAR).json(json!({"file_id": id}));
        request.bearer(&self.token).send().await
    }

    /// A picture, as everybody sees it.
    async fn look(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.app.base)).send().await.expect("an answer")
    }

    async fn put(&self, id: &str, bytes: &[u8]) -> Answer {
        let request = self.app.request(Method::PUT, &format!("{FILES}/{id}/content"));
        let request = request.header("content-type", "application/octet-stream");
        request.body(bytes.to_vec()).bearer(&self.token).send().await
    }
}

async fn c22_a_picture_is_made_anew_and_shown_to_everybody(server: Server) {
    let stage = Stage::set(server.app()).await;
    let uploaded = telling();
    assert!(holds(&uploaded, SECRET) && holds(&uploaded, b"<script>"));
    let file = stage.processed("post_cover", "image/jpeg", &uploaded).await;
    assert_eq!((&file["state"], &file["content_type"]), (&json!("ready"), &json!("image/jpeg")));
    // It was lying on its side.
    assert_eq!((&file["width"], &file["height"]), (&json!(600), &json!(900)));

    let shown = stage.look(&text(&file["picture_url"])).await;
    let header = |name: &str| shown.headers()[name].to_str().expect("text").to_owned();
    assert_eq!((shown.status().as_u16(), header("content-type").as_str()), (200, "image/jpeg"));
    assert_eq!(header("cache-control"), "public, max-age=86400");
    assert_eq!(header("cross-origin-resource-policy"), "cross-origin");
    assert_eq!(header("x-content-type-options"), "nosniff");
    let (tag, length) = (header("etag"), header("content-length"));
    let bytes = shown.bytes().await.expect("read");
    assert!(!holds(&bytes, SECRET) && !holds(&bytes, b"<script>") && !holds(&bytes, b"Exif"));
    let seen = image::load_from_memory(&bytes).expect("a picture").to_rgb8();
    assert_eq!(seen.dimensions(), (600, 900));
    // What was left is above now.
    assert!(seen.get_pixel(300, 100).0[0] > 200 && seen.get_pixel(300, 800).0[0] < 50);
    assert_eq!((&file["size"], &length), (&json!(bytes.len()), &bytes.len().to_string()));
    // Only that much room is taken.
    let sql = connect(stage.app.database_url()).await;
    let taken = sql.query_one("SELECT bytes FROM file_spaces", &[]).await.expect("one");
    assert_eq!(file["size"], taken.get::<_, i64>(0));
    let again = stage.http.get(format!("{}{}", stage.app.base, text(&file["picture_url"])));
    let again = again.header("if-none-match", tag).send().await.expect("an answer");
    assert_eq!(again.status(), 304);
    assert!(again.bytes().await.expect("read").is_empty());
    // Of what was uploaded nothing is left.
    stage.wait_for_objects(1).await;

    // No other file is for everybody.
    let other = stage.ready("application/pdf", PDF).await;
    assert_eq!(stage.look(&format!("/api/v1/pictures/{other}")).await.status(), 404);
}

#[tokio::test]
async fn c22_a_picture_is_nobodys_before_it_is_made_anew() {
    let mut stage = Stage::set(TestApp::builder()).await;
    // No job makes anything of it.
    stage.app.stop_background().await;
    let bytes = telling();
    // With a checksum it has all that a picture for everybody has, but the state.
    let sha256 = hex(digest(&SHA256, &bytes).as_ref());
    let body = json!({"name": "x", "content_type": "image/jpeg", "size": bytes.len(), "sha256": sha256,
                      "purpose": "post_cover"});
    let created = stage.announce(body).await.data();
    let id = text(&created["file"]["id"]);
    stage.upload(&created, &bytes).await;
    assert_eq!(stage.complete(&id).await.data()["state"], "processing");
    assert_eq!(stage.look(&format!("/api/v1/pictures/{id}")).await.status(), 404);
}

async fn c22_bombs_and_broken_pictures_are_of_no_use(server: Server) {
    let mut stage = Stage::set(server.app()).await;
    let whole = picture(64, 64, ImageFormat::Png);
    // 3.6 billion pixels in 33 bytes; and one that ends in the middle.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 6, 0, 0, 0, 0x80, 0xd2, 0x75, 0x42]);
    for bytes in [bomb.as_slice(), &whole[..whole.len() / 2]] {
        let file = stage.processed("avatar", "image/png", bytes).await;
        assert_eq!(file["state"], "failed", "{file}");
        let id = text(&file["id"]);
        assert_eq!(stage.look(&format!("/api/v1/pictures/{id}")).await.status(), 404);
        stage.get(&format!("/{id}/download")).await.assert_error(409, "file_not_ready");
        stage.set_avatar(&file["id"]).await.assert_error(409, "file_not_ready");
    }
    stage.wait_for_objects(0).await;
    stage.app.clock.advance(TimeDelta::hours(25));
    stage.token = text(&stage.app.login(ADA).await["access_token"]);
    wait(async || {
        let files = stage.get("").await.data();
        files["items"].as_array().expect("a list").is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_avatar_is_a_square_and_the_one_before_goes() {
    let mut stage = Stage::set(TestApp::builder()).await;
    let me = async |stage: &Stage| {
        stage.app.get("/api/v1/users/me").bearer(&stage.token).send().await.data()
    };
    assert!(me(&stage).await.get("avatar_url").is_none());
    let webp = picture(700, 500, ImageFormat::WebP);
    let first = stage.processed("avatar", "image/webp", &webp).await;
    assert_eq!((&first["width"], &first["height"]), (&json!(512), &json!(512)));
    let user = stage.set_avatar(&first["id"]).await.data();
    assert_eq!(user["avatar_url"], first["picture_url"]);
    assert_eq!(stage.set_avatar(&first["id"]).await.data()["updated_at"], user["updated_at"]);

    let png = picture(30, 30, ImageFormat::Png);
    let second = stage.processed("avatar", "image/png", &png).await;
    assert_eq!(stage.set_avatar(&second["id"]).await.data()["avatar_url"], second["picture_url"]);
    assert_eq!(stage.look(&text(&first["picture_url"])).await.status(), 404);
    assert_eq!(stage.look(&text(&second["picture_url"])).await.status(), 200);
    stage.wait_for_objects(1).await;

    // Neither another kind of file nor another user's.
    let pdf = json!(stage.ready("application/pdf", PDF).await);
    let unknown = [("file_id".to_owned(), "unknown_file".to_owned())];
    assert_eq!(stage.set_avatar(&pdf).await.faults(), unknown);
    let ada = stage.token.clone();
    stage.token = stage.app.user_token("bob@example.com").await;
    assert_eq!(stage.set_avatar(&second["id"]).await.faults(), unknown);
    stage.token = ada;

    let delete = stage.app.request(Method::DELETE, AVATAR).bearer(&stage.token);
    assert!(delete.send().await.data().get("avatar_url").is_none());
    assert_eq!(stage.look(&text(&second["picture_url"])).await.status(), 404);
    // A file that is deleted is nobody's picture any more.
    let third = stage.processed("avatar", "image/png", &png).await;
    stage.set_avatar(&third["id"]).await.data();
    assert_eq!(stage.delete(&text(&third["id"])).await, 204);
    assert!(me(&stage).await.get("avatar_url").is_none());
}

async fn a_small_file_comes_by_way_of_the_server(server: Server) {
    let stage = Stage::set(server.app()).await;
    // Larger than any other body may be.
    let large = [PDF, &vec![b'x'; 3 << 20][..]].concat();
    let created = stage.pending("application/pdf", &large).await;
    let id = text(&created["file"]["id"]);
    let length = [("Content-Length".to_owned(), "mismatch".to_owned())];
    assert_eq!(stage.put(&id, &large[1..]).await.faults(), length);
    let ready = stage.put(&id, &large).await.data();
    assert_eq!(ready["state"], "ready");
    assert_eq!(stage.put(&id, PDF).await.data(), ready, "a second time changes nothing");
    assert_eq!(stage.download(&id).await.bytes, large);

    for (kind, bytes) in [("image/png", PDF), ("text/plain", b"<html><script>")] {
        let created = stage.pending(kind, bytes).await;
        let id = text(&created["file"]["id"]);
        stage.put(&id, bytes).await.assert_error(422, "file_refused");
        stage.get(&format!("/{id}")).await.assert_error(404, "not_found");
    }
    let mut body = attachment("application/pdf", PDF.len());
    body["sha256"] = "0".repeat(64).into();
    let created = stage.announce(body).await.data();
    let refused = stage.put(&text(&created["file"]["id"]), PDF).await;
    assert_eq!(refused.assert_error(422, "file_refused")["errors"][0]["field"], "sha256");
    let left = stage.wait_for_objects(1).await;
    assert!(left[0].contains(&id), "{left:?}");
}

#[tokio::test]
async fn c20_a_file_that_comes_too_slowly_is_broken_off_and_may_come_again() {
    let builder = TestApp::builder().setting("TWOFOLD_SERVER__READ_TIMEOUT_MS", "500");
    let stage = Stage::set(builder).await;
    // Too large to be received before its turn.
    let bytes = [PDF, &vec![b'x'; 20_000][..]].concat();
    let created = stage.pending("application/pdf", &bytes).await;
    let id = text(&created["file"]["id"]);
    let begun = stream::iter([Ok::<_, io::Error>(PDF[..9].to_vec())]).chain(stream::pending());
    let put = stage.http.put(format!("{}{FILES}/{id}/content", stage.app.base));
    let put = put.header("content-type", "application/octet-stream").bearer_auth(&stage.token);
    let put = put.header("content-length", bytes.len()).body(reqwest::Body::wrap_stream(begun));
    let answer = put.send().await.expect("an answer");
    assert_eq!(answer.status(), 408);
    assert_eq!(answer.json::<Value>().await.expect("JSON")["error"], "body_timeout");
    assert_eq!(stage.get(&format!("/{id}")).await.data()["state"], "pending");
    assert_eq!(stage.put(&id, &bytes).await.data()["state"], "ready");
}

#[tokio::test]
async fn c20_a_file_by_way_of_the_server_has_a_limit_of_its_own() {
    let builder = TestApp::builder().setting("TWOFOLD_FILES__DIRECT_MAX_BYTES", "1000");
    let stage = Stage::set(builder).await;
    let bytes = [PDF, &[b'x'; 1000]].concat();
    let created = stage.pending("application/pdf", &bytes).await;
    let id = text(&created["file"]["id"]);
    stage.put(&id, &bytes).await.assert_error(413, "payload_too_large");
    // The storage takes it.
    stage.upload(&created, &bytes).await;
    assert_eq!(stage.complete(&id).await.data()["state"], "ready");
}
