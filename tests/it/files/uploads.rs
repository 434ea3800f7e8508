//! The way in and out, and what isn't let in.

use std::slice;

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::{Method, Url};
use ring::digest::{SHA256, digest};
use serde_json::json;
use twofold::adapters::random::hex;

use super::{FILES, PDF, PNG, Server, Stage, attachment, hostile::assert_refused, on_both, text};
use crate::support::{TestApp, TestDb, cluster::connect};

/// Longer than URLs are good for.
const EARLIER: TimeDelta = TimeDelta::minutes(6);

on_both!(
    a_file_is_announced_uploaded_and_downloaded,
    c22_a_signed_upload_takes_nothing_else,
    c22_a_checksum_is_compared_with_all_bytes,
    c22_what_was_looked_at_is_what_stays,
);

async fn a_file_is_announced_uploaded_and_downloaded(server: Server) {
    let mut stage = Stage::set_earlier(server.app(), EARLIER).await;
    stage.app.clock.advance(EARLIER);
    let name = "Grüße \"1\"; x=y.pdf";
    let body = json!({"name": name, "content_type": "application/pdf", "size": PDF.len(), "purpose": "attachment"});
    let created = stage.announce(body).await.data();
    let (file, id) = (&created["file"], text(&created["file"]["id"]));
    assert_eq!((&file["state"], &file["name"]), (&json!("pending"), &json!(name)));
    assert_eq!((&created["upload"]["method"], &file["size"]), (&json!("PUT"), &json!(PDF.len())));
    stage.complete(&id).await.assert_error(409, "file_not_uploaded");
    stage.get(&format!("/{id}/download")).await.assert_error(409, "file_not_ready");

    stage.upload(&created, PDF).await;
    let ready = stage.complete(&id).await.data();
    assert_eq!(ready["state"], "ready");
    assert!(ready["completed_at"].is_string() && ready.get("expires_at").is_none(), "{ready}");
    assert_eq!(stage.complete(&id).await.data(), ready, "a second time changes nothing");
    assert_eq!(stage.get(&format!("/{id}")).await.data(), ready);

    let download = stage.download(&id).await;
    assert_eq!((download.status, download.kind.as_str()), (200, "application/pdf"));
    assert_eq!(download.bytes, PDF);
    if server.knows_overrides() {
        let expected = "attachment; filename=\"Gr__e _1__ x_y.pdf\"; \
                        filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22%3B%20x%3Dy.pdf";
        assert_eq!(download.disposition, expected);
    }

    let token = stage.app.user_token("bob@example.com").await;
    let theirs = Stage::of(&stage.app, token).get("").await.data();
    assert_eq!(theirs["items"], json!([]), "others have no part in it");
    let other = stage.pending("image/png", PNG).await;
    let ids = async |query: &str| {
        let list = stage.get(query).await.data();
        let items = list["items"].as_array().expect("a list").clone();
        items.iter().map(|file| text(&file["id"])).collect::<Vec<_>>()
    };
    let other = text(&other["file"]["id"]);
    assert_eq!(ids("").await, [other.clone(), id.clone()]);
    assert_eq!(ids("?state=ready").await, slice::from_ref(&id));
    assert_eq!(ids("?state=pending&purpose=attachment").await, [other]);
    assert!(ids("?purpose=avatar").await.is_empty());
    // A URL of a download is good for a while only.
    stage.app.clock.advance(-EARLIER);
    assert_eq!(stage.download(&id).await.status / 100, 4);
}

async fn c22_a_signed_upload_takes_nothing_else(server: Server) {
    let stage = Stage::set_earlier(server.app(), EARLIER).await;
    let late = stage.pending("image/png", PNG).await;
    stage.app.clock.advance(EARLIER);
    assert_eq!(stage.upload_as(&late, PNG, |_| {}).await / 100, 4, "signed six minutes ago");
    let created = stage.pending("image/png", PNG).await;
    let id = text(&created["file"]["id"]);
    let signed: Url = text(&created["upload"]["url"]).parse().expect("a URL");
    let expires = signed.query_pairs().find(|(name, _)| name == "X-Amz-Expires").expect("named").1;
    assert!(expires.parse::<u32>().expect("a number") <= 300);
    let changed_query = |name: &str, value: &str| {
        let mut url = signed.clone();
        let pairs = signed.query_pairs().map(|(key, old)| {
            let new = if key == name { value.to_owned() } else { old.into_owned() };
            (key.into_owned(), new)
        });
        url.query_pairs_mut().clear().extend_pairs(pairs);
        url
    };
    let other_key = {
        let mut url = signed.clone();
        url.set_path(&signed.path().replace(&id, "01975b2e-7c40-7000-8000-000000000001"));
        url
    };
    let upload = async |what: &str, url: &Url, kind: &str, bytes: &[u8]| {
        let status = stage
            .upload_as(&created, bytes, |request| {
                *request.url_mut() = url.clone();
                request.headers_mut().insert("content-type", kind.parse().expect("a type"));
            })
            .await;
        assert!(status == 0 || status / 100 == 4, "{what}: {status}");
    };
    let png = "image/png";
    upload("another type", &signed, "text/html", PNG).await;
    upload("a longer one", &signed, png, &[PNG, b"x"].concat()).await;
    upload("a shorter one", &signed, png, &PNG[1..]).await;
    upload("none at all", &signed, png, b"").await;
    upload("another key", &other_key, png, PNG).await;
    upload("a longer life", &changed_query("X-Amz-Expires", "3600"), png, PNG).await;
    let (headers, sig) = ("X-Amz-SignedHeaders", "X-Amz-Signature");
    upload("fewer headers", &changed_query(headers, "host"), png, PNG).await;
    upload("another signature", &changed_query(sig, &"0".repeat(64)), png, PNG).await;
    for method in [Method::GET, Method::DELETE, Method::POST] {
        let status = stage.upload_as(&created, PNG, |request| *request.method_mut() = method);
        assert_eq!(status.await / 100, 4);
    }

    assert_eq!(stage.objects().await, Vec::<String>::new());
    stage.complete(&id).await.assert_error(409, "file_not_uploaded");
    stage.upload(&created, PNG).await;
    assert_eq!(stage.complete(&id).await.data()["state"], "ready");
}

async fn c22_a_checksum_is_compared_with_all_bytes(server: Server) {
    let stage = Stage::set(server.app()).await;
    // Longer than what is looked at to tell the type.
    let right = [PDF, &vec![b'x'; 20_000][..]].concat();
    let wrong = [PDF, &vec![b'x'; 19_999][..], b"y"].concat();
    let mut body = attachment("application/pdf", right.len());
    body["sha256"] = hex(digest(&SHA256, &right).as_ref()).into();
    let created = stage.announce(body.clone()).await.data();
    // Some servers tell at once, and keep the bytes nevertheless.
    stage.upload_as(&created, &wrong, |_| {}).await;
    if stage.objects().await.is_empty() {
        let id = text(&created["file"]["id"]);
        stage.complete(&id).await.assert_error(409, "file_not_uploaded");
    } else {
        assert_refused(&stage, &created, &["sha256", "content_type"]).await;
    }
    let created = stage.announce(body.clone()).await.data();
    stage.upload(&created, &right).await;
    let id = text(&created["file"]["id"]);
    assert_eq!(stage.complete(&id).await.data()["sha256"], body["sha256"]);
    // The checksum is signed, too.
    let created = stage.announce(body).await.data();
    let status = stage
        .upload_as(&created, &wrong, |request| {
            let other = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            let name = "x-amz-checksum-sha256";
            assert!(request.headers_mut().insert(name, other.parse().expect("text")).is_some());
        })
        .await;
    assert_eq!(status / 100, 4);
}

async fn c22_what_was_looked_at_is_what_stays(server: Server) {
    let stage = Stage::set(server.app()).await;
    let created = stage.pending("image/png", PNG).await;
    let id = text(&created["file"]["id"]);
    let page = [b"<script>", &vec![b' '; PNG.len() - 8][..]].concat();
    stage.upload(&created, PNG).await;
    stage.complete(&id).await.data();
    // The URL is good for some minutes yet.
    stage.upload(&created, &page).await;
    assert_eq!(stage.complete(&id).await.data()["state"], "ready");
    assert_eq!(stage.download(&id).await.bytes, PNG);
    assert_eq!(stage.objects().await.len(), 2);
    stage.app.clock.advance(TimeDelta::hours(1));
    let left = stage.wait_for_objects(1).await;
    assert!(left[0].starts_with(&format!("files/{id}/")), "{left:?}");
}

#[tokio::test]
async fn c22_what_a_file_is_for_says_what_it_may_be() {
    let stage = Stage::set(TestApp::builder()).await;
    let faults = async |purpose: &str, kind: &str, size: i64| {
        let body = json!({"name": "x", "content_type": kind, "size": size, "purpose": purpose});
        stage.announce(body).await.faults()
    };
    let fault = |field: &str, rule: &str| (field.to_owned(), rule.to_owned());
    let (kind, size) = (fault("content_type", "not_allowed"), fault("size", "too_large"));
    assert_eq!(faults("avatar", "application/pdf", 1).await, slice::from_ref(&kind));
    assert_eq!(faults("post_cover", "image/gif", 1).await, slice::from_ref(&kind));
    assert_eq!(faults("avatar", "image/png", 10_485_761).await, slice::from_ref(&size));
    assert_eq!(faults("avatar", "text/plain", i64::from(u32::MAX)).await, [kind, size.clone()]);
    assert_eq!(faults("attachment", "image/png", (5 << 30) + 1).await, [size]);
    assert_eq!(faults("attachment", "text/html", 1).await, [fault("content_type", "enum")]);
    assert_eq!(faults("attachment", "image/svg+xml", 1).await, [fault("content_type", "enum")]);
    assert_eq!(faults("attachment", "image/png", 0).await, [fault("size", "too_small")]);
    assert_eq!(faults("weapon", "image/png", 1).await, [fault("purpose", "enum")]);
}

#[tokio::test]
async fn c22_uploads_at_once_do_not_pass_the_quota() {
    let builder = TestApp::builder().setting("TWOFOLD_FILES__QUOTA_BYTES", "100");
    let stage = Stage::set(builder).await;
    // Nor does the first one.
    stage.announce(attachment("text/plain", 101)).await.assert_error(409, "file_quota_exceeded");
    let body = || attachment("text/plain", 30);
    let answers = join_all((0..20).map(|_| stage.announce(body()))).await;
    let (fit, not): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((fit.len(), not.len()), (3, 17));
    for answer in not {
        assert_eq!(answer.assert_error(409, "file_quota_exceeded")["code"], 1803);
    }
    stage.announce(attachment("text/plain", 11)).await.assert_error(409, "file_quota_exceeded");
    assert_eq!(stage.announce(attachment("text/plain", 10)).await.status, 200);
    // Each gives its room back once, however often it is deleted at once.
    let id = text(&fit[0].data()["file"]["id"]);
    let gone = join_all((0..10).map(|_| stage.delete(&id))).await;
    assert_eq!(gone.iter().filter(|status| **status == 204).count(), 1);
    let answers = join_all((0..10).map(|_| stage.announce(body()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[tokio::test]
async fn c22_files_are_counted_too() {
    let builder = TestApp::builder().setting("TWOFOLD_FILES__QUOTA_FILES", "2");
    let mut stage = Stage::set(builder).await;
    let answers = join_all((0..10).map(|_| stage.announce(attachment("text/plain", 1)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 2);
    // Others have room of their own.
    stage.token = stage.app.user_token("bob@example.com").await;
    assert_eq!(stage.announce(attachment("text/plain", 1)).await.status, 200);
}

#[tokio::test]
async fn c29_with_the_storage_down_uploads_say_so_and_nothing_else_notices() {
    let builder = TestApp::builder()
        .setting("TWOFOLD_STORAGE__ENDPOINT", "http://127.0.0.1:1")
        .setting("TWOFOLD_STORAGE__BUCKET", "b")
        .setting("TWOFOLD_STORAGE__ACCESS_KEY_ID", "key")
        .setting("TWOFOLD_STORAGE__SECRET_ACCESS_KEY", "secret");
    let stage = Stage::set(builder).await;
    let answer = stage.announce(attachment("text/plain", 1)).await;
    answer.assert_error(503, "service_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    let large = stage.announce_large("text/plain", 1).await;
    large.assert_error(503, "service_unavailable");
    assert!(stage.get("").await.data()["items"].as_array().expect("a list").is_empty());
    let me = stage.app.get("/api/v1/users/me").bearer(&stage.token).send().await;
    assert_eq!(me.data()["email"], super::ADA);
}

#[tokio::test]
async fn c29_with_the_storage_stopped_what_is_there_is_told_and_deleted() {
    let s3 = crate::support::s3::S3::start().await;
    let stage = Stage::set(super::on(&s3)).await;
    let (ready, created) =
        (stage.ready("image/png", PNG).await, stage.pending("image/png", PNG).await);
    let pending = text(&created["file"]["id"]);
    stage.upload(&created, PNG).await;
    drop(s3);
    stage.complete(&pending).await.assert_error(503, "service_unavailable");
    assert_eq!(stage.get(&format!("/{pending}")).await.data()["state"], "pending");
    assert_eq!(stage.get(&format!("/{ready}")).await.data()["state"], "ready");
    assert_eq!(stage.delete(&ready).await, 204);
    stage.get(&format!("/{ready}")).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn where_no_storage_is_configured_uploads_say_so() {
    let db = TestDb::create().await;
    // Where there is no storage there is no outbox either, from which a code could be read.
    let mut registrar = TestApp::builder().database_url(&db.url).start().await;
    registrar.verified_user(super::ADA).await;
    registrar.stop_background().await;
    let app = TestApp::builder()
        .database_url(&db.url)
        .setting("TWOFOLD_ENV", "preview")
        .setting("SMTP_URL", "smtp://127.0.0.1:1")
        .start()
        .await;
    assert!(app.core.storage.is_none());
    let token = text(&app.login(super::ADA).await["access_token"]);
    let answer = app.post(FILES, attachment("text/plain", 1)).bearer(&token).send().await;
    answer.assert_error(501, "not_configured");
}

#[tokio::test]
async fn c22_what_came_by_another_way_is_compared_as_well() {
    let stage = Stage::set(TestApp::builder()).await;
    let sql = connect(stage.app.database_url()).await;
    let storage = stage.app.core.storage.as_ref().expect("there is one");
    for (kind, bytes, field) in
        [("image/png", &PNG[1..], "size"), ("text/html", PNG, "content_type")]
    {
        let created = stage.pending("image/png", PNG).await;
        let id = text(&created["file"]["id"]);
        let key = "SELECT upload_key FROM files WHERE id::text = $1";
        let key: String = sql.query_one(key, &[&id]).await.expect("one").get(0);
        // As by who has temporary credentials.
        storage.put(&key, kind, bytes.to_vec()).await.expect("written");
        assert_refused(&stage, &created, &[field]).await;
    }
}

#[tokio::test]
async fn urls_have_the_public_address_of_the_storage() {
    let s3 = crate::support::s3::S3::start().await;
    let public = "https://files.example.com";
    let builder = super::on(&s3).setting("TWOFOLD_STORAGE__PUBLIC_ENDPOINT", public);
    let stage = Stage::set(builder).await;
    let created = stage.pending("image/png", PNG).await;
    let url = text(&created["upload"]["url"]);
    assert!(url.starts_with(&format!("{public}/files/some/prefix/uploads/")), "{url}");
}
