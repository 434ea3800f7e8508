//! What breaks off in the middle leaves nothing, and holds nothing up.

use chrono::TimeDelta;
use image::ImageFormat;
use serde_json::{Value, json};
use twofold::{db::Origin, services::files::removal};

use super::{ADA, PDF, PNG, Stage, attachment, hostile::assert_refused, on_both, picture, text};
use crate::support::{TestApp, TestDb, cluster::connect, s3_proxy::S3Proxy, wait};

async fn count(db: &TestDb, of: &str) -> i64 {
    let sql = connect(&db.url).await;
    let counted = sql.query_one(&format!("SELECT count(*) FROM {of}"), &[]).await;
    counted.expect("counted").get(0)
}

impl Stage {
    /// So much later the user signs in again.
    pub async fn later(&mut self, by: TimeDelta) {
        self.app.clock.advance(by);
        self.token = text(&self.app.login(ADA).await["access_token"]);
    }
}

#[tokio::test]
async fn c22_a_copy_that_nobody_waits_for_goes() {
    let (db, proxy) = (TestDb::create().await, S3Proxy::start().await);
    let mut stage = Stage::set(proxy.of(TestApp::builder()).database_url(&db.url)).await;
    let created = stage.pending("application/pdf", PDF).await;
    stage.upload(&created, PDF).await;
    let id = text(&created["file"]["id"]);
    // Its copy is looked at when the caller hangs up.
    proxy.hold("x-id=GetObject");
    tokio::select! {
        answer = stage.complete(&id) => panic!("{}", answer.status),
        () = proxy.met() => {}
    }
    assert_eq!(stage.objects().await.len(), 2);
    stage.later(TimeDelta::hours(2)).await;
    let left = stage.wait_for_objects(1).await;
    assert!(left[0].starts_with("uploads/"), "{left:?}");
    // Nothing is lost, and what is taken now stays.
    proxy.release();
    assert_eq!(stage.complete(&id).await.data()["state"], "ready");
    let left = stage.wait_for_objects(1).await;
    stage.later(TimeDelta::days(2)).await;
    wait(async || (count(&db, "doomed_objects").await == 0).then_some(())).await;
    assert_eq!(stage.objects().await, left);
}

#[tokio::test]
async fn c22_a_picture_of_a_file_that_is_gone_goes_with_it() {
    let (db, proxy) = (TestDb::create().await, S3Proxy::start().await);
    let mut stage = Stage::set(proxy.of(TestApp::builder()).database_url(&db.url)).await;
    let bytes = picture(64, 64, ImageFormat::Png);
    let body = json!({
        "name": "x", "content_type": "image/png", "size": bytes.len(), "purpose": "post_cover"
    });
    let created = stage.announce(body).await.data();
    stage.upload(&created, &bytes).await;
    let id = text(&created["file"]["id"]);
    proxy.hold("x-id=PutObject");
    stage.complete(&id).await.data();
    proxy.met().await;
    assert_eq!(stage.delete(&id).await, 204);
    stage.wait_for_objects(0).await;
    // The picture comes when all has been deleted.
    proxy.release();
    let done = "jobs WHERE kind = 'files.make_picture' AND state = 'succeeded'";
    wait(async || (count(&db, done).await == 1).then_some(())).await;
    stage.later(TimeDelta::hours(2)).await;
    let intended = "doomed_objects WHERE prefix LIKE 'files/%'";
    wait(async || (count(&db, intended).await == 0).then_some(())).await;
    assert_eq!(stage.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn c22_what_is_being_deleted_becomes_no_file() {
    let (db, proxy) = (TestDb::create().await, S3Proxy::start().await);
    let sql = connect(&db.url).await;
    let stage = Stage::set(proxy.of(TestApp::builder()).database_url(&db.url)).await;
    let created = stage.pending("application/pdf", PDF).await;
    stage.upload(&created, PDF).await;
    let id = text(&created["file"]["id"]);
    proxy.hold("x-id=GetObject");
    let taken = async {
        proxy.met().await;
        // As by who is about to delete the copy.
        let later = "UPDATE doomed_objects SET due_at = due_at + interval '5 seconds'";
        assert_eq!(sql.execute(later, &[]).await.expect("updated"), 1);
        proxy.release();
    };
    let (answer, ()) = tokio::join!(stage.complete(&id), taken);
    answer.assert_error(503, "service_unavailable");
    assert_eq!(stage.get(&format!("/{id}")).await.data()["state"], "pending");
    assert_eq!(stage.complete(&id).await.data()["state"], "ready");
}

#[tokio::test]
async fn what_cannot_be_deleted_keeps_nothing_else() {
    let (db, proxy) = (TestDb::create().await, S3Proxy::start().await);
    let mut stage = Stage::set(proxy.of(TestApp::builder()).database_url(&db.url)).await;
    let id = stage.ready("application/pdf", PDF).await;
    let sql = connect(&db.url).await;
    proxy.cut_off("stuck");
    let stuck = "INSERT INTO doomed_objects (prefix, due_at, created_at, updated_at) \
                 SELECT 'stuck/', at, at, at FROM (SELECT now() - interval '1 day' AS at) AS yesterday";
    sql.execute(stuck, &[]).await.expect("inserted");
    assert_eq!(stage.delete(&id).await, 204);
    stage.wait_for_objects(0).await;
    let later = "doomed_objects WHERE prefix = 'stuck/' AND due_at > updated_at";
    assert_eq!(count(&db, later).await, 1);
    proxy.release();
    stage.later(TimeDelta::hours(2)).await;
    wait(async || (count(&db, "doomed_objects WHERE prefix = 'stuck/'").await == 0).then_some(()))
        .await;
}

on_both!(what_no_job_works_on_any_more_fails);

async fn what_no_job_works_on_any_more_fails(server: super::Server) {
    let db = TestDb::create().await;
    let mut stage = Stage::set(server.app().database_url(&db.url)).await;
    let id = stage.ready("application/pdf", PDF).await;
    let sql = connect(&db.url).await;
    // As one whose job has used up its tries.
    let stuck = sql.execute("UPDATE files SET state = 'processing'", &[]).await;
    assert_eq!(stuck.expect("updated"), 1);
    let state = async |stage: &Stage| -> Value {
        stage.get(&format!("/{id}")).await.data()["state"].clone()
    };
    stage.later(TimeDelta::hours(23)).await;
    // As the schedule does, sooner or later.
    let early = removal::give_up_expired(&stage.app.core, &Origin::system("test"), 10).await;
    assert_eq!((early.expect("looked"), state(&stage).await), (0, json!("processing")));
    stage.later(TimeDelta::hours(2)).await;
    wait(async || (state(&stage).await == "failed").then_some(())).await;
    stage.wait_for_objects(0).await;
    stage.later(TimeDelta::hours(25)).await;
    wait(async || (count(&db, "files").await == 0).then_some(())).await;
    assert_eq!(count(&db, "file_spaces WHERE files = 0 AND bytes = 0").await, 1);
}

#[tokio::test]
async fn c29_a_storage_that_hangs_holds_no_connection() {
    let proxy = S3Proxy::start().await;
    let builder = TestApp::builder()
        .setting("TWOFOLD_DATABASE__POOL_MAX_SIZE", "1")
        .setting("TWOFOLD_DATABASE__POOL_MIN_IDLE", "1");
    let stage = Stage::set(proxy.of(builder)).await;
    proxy.hold("?uploads");
    let mine = async {
        proxy.met().await;
        assert_eq!(stage.get("").await.data()["items"], json!([]));
        proxy.release();
    };
    let (announced, ()) = tokio::join!(stage.announce_large("application/pdf", 30), mine);
    assert_eq!(announced.data()["parts"], 1);
}

#[tokio::test]
async fn c29_a_storage_that_is_asked_first_holds_no_connection() {
    let proxy = S3Proxy::start().await;
    let builder = TestApp::builder()
        .setting("TWOFOLD_DATABASE__POOL_MAX_SIZE", "1")
        .setting("TWOFOLD_DATABASE__POOL_MIN_IDLE", "1")
        .setting("TWOFOLD_DATABASE__POOL_WAIT_MS", "200");
    let stage = Stage::set(proxy.of(builder)).await;
    // Of a bucket, which all URLs name, only who asks for its health asks by HEAD.
    proxy.hold("HEAD ");
    let mine = async {
        proxy.met().await;
        assert_eq!(stage.get("").await.data()["items"], json!([]));
    };
    let (announced, ()) = tokio::join!(stage.announce(attachment("text/plain", 1)), mine);
    announced.assert_error(503, "service_unavailable");
}

#[tokio::test]
async fn c22_what_is_uploaded_meanwhile_is_not_what_is_looked_at() {
    let proxy = S3Proxy::start().await;
    let stage = Stage::set(proxy.of(TestApp::builder())).await;
    let page = [b"<script>", &vec![b' '; PNG.len() - 8][..]].concat();
    let created = stage.pending("image/png", PNG).await;
    stage.upload(&created, &page).await;
    proxy.hold("x-id=GetObject");
    let meanwhile = async {
        proxy.met().await;
        stage.upload(&created, PNG).await;
        proxy.release();
    };
    tokio::join!(assert_refused(&stage, &created, &["content_type"]), meanwhile);
}

#[tokio::test]
async fn of_two_who_complete_a_file_at_once_one_does() {
    let proxy = S3Proxy::start().await;
    let stage = Stage::set(proxy.of(TestApp::builder())).await;
    let created = stage.pending("image/png", PNG).await;
    stage.upload(&created, PNG).await;
    let id = text(&created["file"]["id"]);
    proxy.hold("x-id=GetObject");
    let both = async {
        proxy.met().await;
        proxy.met().await;
        proxy.release();
    };
    let (one, other, ()) = tokio::join!(stage.complete(&id), stage.complete(&id), both);
    assert_eq!((&one.data(), &one.data()["state"]), (&other.data(), &json!("ready")));
    stage.wait_for_objects(1).await;
    assert_eq!(stage.download(&id).await.bytes, PNG);
}

#[tokio::test]
async fn who_looks_at_something_else_deletes_no_file_that_is_complete() {
    let (db, proxy) = (TestDb::create().await, S3Proxy::start().await);
    let stage = Stage::set(proxy.of(TestApp::builder()).database_url(&db.url)).await;
    let created = stage.pending("image/png", PNG).await;
    stage.upload(&created, &[b' '; PNG.len()]).await;
    let (id, sql) = (text(&created["file"]["id"]), connect(&db.url).await);
    proxy.hold("x-id=GetObject");
    let faster = async {
        proxy.met().await;
        // As by another request, which has seen the right bytes.
        let ready = "UPDATE files SET state = 'ready', key = 'files/x/y', expires_at = NULL, completed_at = now()";
        assert_eq!(sql.execute(ready, &[]).await.expect("updated"), 1);
        proxy.release();
    };
    let (answer, ()) = tokio::join!(stage.complete(&id), faster);
    answer.assert_error(422, "file_refused");
    assert_eq!(stage.get(&format!("/{id}")).await.data()["state"], "ready");
}

#[tokio::test]
async fn what_cannot_be_deleted_is_tried_less_and_less_often() {
    let (db, proxy) = (TestDb::create().await, S3Proxy::start().await);
    let builder = proxy.of(TestApp::builder()).database_url(&db.url);
    let app = builder.setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await;
    let (sql, origin) = (connect(&db.url).await, Origin::system("test"));
    proxy.cut_off("stuck");
    let stuck = "INSERT INTO doomed_objects (prefix, due_at, created_at, updated_at) \
                 SELECT 'stuck/', at, at, at FROM (SELECT now() - interval '1 day' AS at) AS yesterday";
    sql.execute(stuck, &[]).await.expect("inserted");
    for seconds in [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600] {
        removal::delete_doomed(&app.core, &origin, 10).await.expect_err("stuck");
        let pause = "SELECT extract(epoch FROM due_at - updated_at)::bigint FROM doomed_objects";
        let pause: i64 = sql.query_one(pause, &[]).await.expect("one").get(0);
        assert_eq!(pause, seconds);
        // Not before then.
        app.clock.advance(TimeDelta::seconds(seconds - 1));
        assert_eq!(removal::delete_doomed(&app.core, &origin, 10).await.expect("nothing"), 0);
        app.clock.advance(TimeDelta::seconds(1));
    }
}
