//! Large files, uploaded in parts.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::{db::Origin, services::files::parts};

use super::{FILES, PDF, PNG, Server, Stage, attachment, on_both, text};
use crate::support::{TestApp, TestDb, cluster::connect, http::Answer, s3_proxy::S3Proxy, wait};

on_both!(
    c22_a_large_file_comes_in_parts_after_a_break,
    c22_parts_that_are_broken_off_leave_nothing,
    c22_parts_of_something_else_are_of_no_use,
);

const PART: usize = 16 << 20;

/// A part and a bit.
fn large() -> Vec<u8> {
    [PDF, &vec![b'x'; PART][..]].concat()
}

impl Stage {
    pub async fn announce_large(&self, kind: &str, size: usize) -> Answer {
        let request = self.app.post(&format!("{FILES}/multipart"), attachment(kind, size));
        request.bearer(&self.token).send().await
    }

    async fn sign(&self, id: &str, numbers: &[i32]) -> Answer {
        let request = self.app.post(&format!("{FILES}/{id}/parts"), json!({"numbers": numbers}));
        request.bearer(&self.token).send().await
    }

    async fn parts(&self, id: &str) -> Value {
        self.get(&format!("/{id}/parts")).await.data()["items"].clone()
    }

    async fn send_part(&self, id: &str, number: i32, bytes: &[u8]) -> u16 {
        let signed = self.sign(id, &[number]).await.data()["items"][0].clone();
        assert_eq!(signed["number"], number);
        self.upload_as(&signed, bytes, |_| {}).await
    }

    /// Does once more what a job does.
    async fn assemble(&self, id: &str) {
        let (id, origin) = (id.parse().expect("an identifier"), Origin::system("test"));
        parts::assemble(&self.app.core, &origin, id).await.expect("nothing fails");
    }

    async fn settled(&self, id: &str) -> Value {
        wait(async || {
            let file = self.get(&format!("/{id}")).await.data();
            (file["state"] != "processing").then_some(file)
        })
        .await
    }
}

async fn c22_a_large_file_comes_in_parts_after_a_break(server: Server) {
    let stage = Stage::set(server.app()).await;
    let bytes = large();
    let created = stage.announce_large("application/pdf", bytes.len()).await.data();
    assert_eq!((&created["part_size"], &created["parts"]), (&json!(PART), &json!(2)));
    let id = text(&created["file"]["id"]);
    let (first, last) = bytes.split_at(PART);
    // Neither longer nor shorter ones, nor parts that it doesn't have.
    let status = stage.send_part(&id, 2, first).await;
    assert!(status == 0 || status / 100 == 4, "{status}");
    let unknown = ("numbers[1]".to_owned(), "unknown_part".to_owned());
    assert_eq!(stage.sign(&id, &[1, 3]).await.faults(), [unknown]);
    assert_eq!(stage.parts(&id).await, json!([]));
    stage.complete(&id).await.assert_error(409, "file_not_uploaded");
    assert_eq!(stage.send_part(&id, 2, last).await, 200);
    // The app was gone meanwhile: it asks what is here.
    assert_eq!(stage.parts(&id).await, json!([{"number": 2, "size": last.len()}]));
    stage.complete(&id).await.assert_error(409, "file_not_uploaded");
    assert_eq!(stage.send_part(&id, 1, first).await, 200);
    assert_eq!(stage.complete(&id).await.data()["state"], "processing");
    let file = stage.settled(&id).await;
    assert_eq!(file["state"], "ready");
    assert!(stage.download(&id).await.bytes == bytes, "the same bytes");
    // As after a try that has put it together, and broke off.
    let sql = connect(stage.app.database_url()).await;
    sql.execute("UPDATE files SET state = 'processing'", &[]).await.expect("updated");
    stage.assemble(&id).await;
    assert_eq!(stage.settled(&id).await["state"], "ready");
    let again = stage.complete(&id).await.data();
    assert_eq!(again, file, "a second time changes nothing");
    stage.sign(&id, &[1]).await.assert_error(409, "file_not_in_parts");
}

async fn c22_parts_that_are_broken_off_leave_nothing(server: Server) {
    let stage = Stage::set(server.app()).await;
    let bytes = large();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let created = stage.announce_large("application/pdf", bytes.len()).await.data();
        let id = text(&created["file"]["id"]);
        assert_eq!(stage.send_part(&id, 2, &bytes[PART..]).await, 200);
        ids.push(id);
    }
    let signed = stage.sign(&ids[0], &[1]).await.data()["items"][0].clone();
    assert_eq!(stage.delete(&ids[0]).await, 204);
    // No part finds its upload any more.
    wait(async || {
        let status = stage.upload_as(&signed, &bytes[..PART], |_| {}).await;
        (status / 100 == 4).then_some(())
    })
    .await;
    // The other one is forgotten.
    let signed = stage.sign(&ids[1], &[1]).await.data()["items"][0].clone();
    stage.app.clock.advance(TimeDelta::hours(25));
    wait(async || {
        let status = stage.upload_as(&signed, &bytes[..PART], |_| {}).await;
        (status / 100 == 4).then_some(())
    })
    .await;
    assert_eq!(stage.objects().await, Vec::<String>::new());
}

async fn c22_parts_of_something_else_are_of_no_use(server: Server) {
    let stage = Stage::set(server.app()).await;
    let page = [&b"<html><script>"[..], &vec![b' '; 1000][..]].concat();
    let created = stage.announce_large("application/pdf", page.len()).await.data();
    let id = text(&created["file"]["id"]);
    assert_eq!(stage.send_part(&id, 1, &page).await, 200);
    stage.complete(&id).await.data();
    assert_eq!(stage.settled(&id).await["state"], "failed");
    stage.assemble(&id).await;
    stage.get(&format!("/{id}/download")).await.assert_error(409, "file_not_ready");
    stage.wait_for_objects(0).await;
}

#[tokio::test]
async fn each_way_of_uploading_has_its_files() {
    let stage = Stage::set(TestApp::builder()).await;
    let fault = |field: &str, rule: &str| [(field.to_owned(), rule.to_owned())];
    let large = stage.announce(attachment("application/pdf", 104_857_601)).await;
    assert_eq!(large.faults(), fault("size", "needs_parts"));
    let body = json!({"name": "x", "content_type": "image/png", "size": 9, "purpose": "avatar"});
    let avatar = stage.app.post(&format!("{FILES}/multipart"), body).bearer(&stage.token);
    assert_eq!(avatar.send().await.faults(), fault("purpose", "not_allowed"));
    let too_large = stage.announce_large("application/pdf", (5 << 30) + 1).await;
    assert_eq!(too_large.faults(), fault("size", "too_large"));
    let least = stage.sign(&uuid::Uuid::nil().to_string(), &[i32::MIN, 0, 10_001]).await.faults();
    let rules = ["too_small", "too_small", "too_large"].into_iter().enumerate();
    let rules = rules.map(|(index, rule)| (format!("numbers[{index}]"), rule.to_owned()));
    assert_eq!(least, rules.collect::<Vec<_>>());
    let single = text(&stage.pending("image/png", PNG).await["file"]["id"]);
    stage.sign(&single, &[1]).await.assert_error(409, "file_not_in_parts");
    stage.get(&format!("/{single}/parts")).await.assert_error(409, "file_not_in_parts");
    let created = stage.announce_large("application/pdf", 30).await.data();
    let path = format!("{FILES}/{}/content", text(&created["file"]["id"]));
    let put = stage.app.request(Method::PUT, &path).body(vec![0; 30]);
    let put = put.header("content-type", "application/octet-stream").bearer(&stage.token);
    put.send().await.assert_error(409, "file_in_parts");
}

#[tokio::test]
async fn c22_parts_of_another_size_are_no_file() {
    let stage = Stage::set(TestApp::builder()).await;
    let sql = connect(stage.app.database_url()).await;
    let created = stage.announce_large("application/pdf", PDF.len()).await.data();
    let id = text(&created["file"]["id"]);
    let upload = sql.query_one("SELECT upload_key, upload_id FROM files", &[]).await.expect("one");
    let upload = (upload.get::<_, &str>(0), upload.get::<_, &str>(1));
    let storage = stage.app.core.storage.as_ref().expect("there is one");
    let timing = (stage.app.clock.now(), TimeDelta::minutes(1));
    let size = i64::try_from(PDF.len()).expect("small") - 1;
    // No app gets such a request.
    let signed = storage.presign_part(upload, (1, size), timing).await.expect("signed");
    let sent = stage.http.put(signed.url).body(PDF[1..].to_vec()).send().await.expect("an answer");
    assert_eq!(sent.status(), 200);
    stage.complete(&id).await.assert_error(409, "file_not_uploaded");
}

#[tokio::test]
async fn c22_what_may_still_be_put_together_is_looked_for_later() {
    let db = TestDb::create().await;
    let stage = Stage::set(TestApp::builder().database_url(&db.url)).await;
    let created = stage.announce_large("application/pdf", PDF.len()).await.data();
    let sql = connect(&db.url).await;
    // A job is at it.
    let working = "UPDATE files SET state = 'processing', key = upload_key, expires_at = NULL";
    sql.execute(working, &[]).await.expect("updated");
    assert_eq!(stage.delete(&text(&created["file"]["id"])).await, 204);
    let due = "SELECT due_at - updated_at = interval '1 hour' FROM doomed_objects \
               WHERE upload_id IS NOT NULL";
    assert!(sql.query_one(due, &[]).await.expect("one").get::<_, bool>(0));
}

#[tokio::test]
async fn of_a_file_for_which_there_is_no_room_no_upload_stays() {
    let proxy = S3Proxy::start().await;
    let builder = proxy.of(TestApp::builder()).setting("TWOFOLD_FILES__QUOTA_BYTES", "10");
    let stage = Stage::set(builder).await;
    proxy.hold("uploadId=");
    tokio::select! {
        answer = stage.announce_large("application/pdf", 30) => panic!("{}", answer.text),
        () = proxy.met() => {}
    }
}

#[tokio::test]
async fn a_very_large_file_has_larger_parts() {
    const SIZE: usize = 200 << 30;
    let builder = TestApp::builder()
        .setting("TWOFOLD_FILES__ATTACHMENT__MAX_BYTES", &SIZE.to_string())
        .setting("TWOFOLD_FILES__QUOTA_BYTES", &SIZE.to_string());
    let created = Stage::set(builder).await.announce_large("application/pdf", SIZE).await.data();
    assert_eq!((&created["part_size"], &created["parts"]), (&json!(32 << 20), &json!(6400)));
}
