//! Files that go, and their objects with them.

use chrono::TimeDelta;
use reqwest::Method;
use twofold::{
    db::{
        Origin,
        doomed_objects::{self, Doomed},
    },
    services::files::removal,
};

use super::{ADA, PDF, PNG, Server, Stage, on_both, text};
use crate::support::{TestApp, TestDb, cluster::connect, wait};

on_both!(
    a_deleted_file_leaves_no_object,
    what_is_not_uploaded_in_time_is_given_up,
    c22_uploads_that_no_file_waits_for_do_not_stay,
    c22_an_erased_account_leaves_no_object,
);

async fn a_deleted_file_leaves_no_object(server: Server) {
    let stage = Stage::set(server.app()).await;
    let (gone, stays) =
        (stage.ready("image/png", PNG).await, stage.ready("application/pdf", PDF).await);
    assert_eq!(stage.delete(&gone).await, 204);
    assert_eq!(stage.delete(&gone).await, 404);
    let left = stage.wait_for_objects(1).await;
    assert!(left[0].contains(&stays), "{left:?}");
    assert_eq!(stage.download(&stays).await.bytes, PDF);
    // So it is with one that was uploaded and not completed, and if that comes too late it goes within the hour.
    let late = stage.pending("image/png", PNG).await;
    stage.upload(&late, PNG).await;
    assert_eq!(stage.delete(&text(&late["file"]["id"])).await, 204);
    assert_eq!(stage.wait_for_objects(1).await, left);
    stage.upload(&late, PNG).await;
    assert_eq!(stage.objects().await.len(), 2);
    stage.app.clock.advance(TimeDelta::hours(1));
    assert_eq!(stage.wait_for_objects(1).await, left);
}

async fn what_is_not_uploaded_in_time_is_given_up(server: Server) {
    let mut stage = Stage::set(server.app()).await;
    let (never, unfinished) =
        (stage.pending("image/png", PNG).await, stage.pending("image/png", PNG).await);
    stage.upload(&unfinished, PNG).await;
    let ready = stage.ready("image/png", PNG).await;
    stage.app.clock.advance(TimeDelta::hours(24) - TimeDelta::minutes(1));
    stage.token = text(&stage.app.login(ADA).await["access_token"]);
    // As the schedule does, sooner or later.
    let early = removal::give_up_expired(&stage.app.core, &Origin::system("test"), 10).await;
    assert_eq!(early.expect("looked"), 0);
    assert_eq!(stage.objects().await.len(), 2);
    for file in [&never, &unfinished] {
        let id = text(&file["file"]["id"]);
        assert_eq!(stage.get(&format!("/{id}")).await.data()["state"], "pending");
    }
    stage.app.clock.advance(TimeDelta::minutes(2));
    let left = stage.wait_for_objects(1).await;
    assert!(left[0].contains(&ready), "{left:?}");
    let files = stage.get("").await.data();
    assert_eq!(files["items"].as_array().expect("a list").len(), 1);
    assert_eq!(files["items"][0]["id"], ready.as_str());
}

#[tokio::test]
async fn of_two_times_to_delete_something_the_later_one_counts() {
    let app = TestApp::builder().start().await;
    let now = app.clock.now();
    let mut conn = app.core.db.conn().await.expect("a connection");
    for hours in [2, 3, 1] {
        let due_at = now + TimeDelta::hours(hours);
        let doomed = Doomed::objects("files/x/".to_owned(), due_at);
        doomed_objects::insert(&mut conn, &[doomed], now).await.expect("noted");
    }
    let sql = connect(app.database_url()).await;
    let due = "SELECT round(extract(epoch FROM due_at - created_at))::bigint FROM doomed_objects";
    let due: i64 = sql.query_one(due, &[]).await.expect("one").get(0);
    assert_eq!(due, 3 * 3600);
}

async fn c22_uploads_that_no_file_waits_for_do_not_stay(server: Server) {
    let stage = Stage::set(server.app()).await;
    let [taken, pending] = [stage.pending("image/png", PNG), stage.pending("image/png", PNG)];
    let (taken, pending) = (taken.await, pending.await);
    stage.upload(&taken, PNG).await;
    stage.complete(&text(&taken["file"]["id"])).await.data();
    stage.wait_for_objects(1).await;
    // As whoever has temporary credentials may do with any name in the folder.
    stage.upload(&taken, PNG).await;
    stage.upload(&pending, PNG).await;
    assert_eq!(stage.objects().await.len(), 3);
    stage.app.clock.advance(TimeDelta::hours(1));
    let left = stage.wait_for_objects(2).await;
    let id = text(&pending["file"]["id"]);
    assert!(left.iter().any(|key| key.starts_with("uploads/") && key.ends_with(&id)), "{left:?}");
}

async fn c22_an_erased_account_leaves_no_object(server: Server) {
    let db = TestDb::create().await;
    let builder = server.app().setting("TWOFOLD_ACCOUNTS__DELETION_GRACE_DAYS", "0");
    let stage = Stage::set(builder.database_url(&db.url)).await;
    let _ready = stage.ready("image/png", PNG).await;
    let pending = stage.pending("image/png", PNG).await;
    stage.upload(&pending, PNG).await;
    // And what somebody with temporary credentials has left there.
    let sql = connect(&db.url).await;
    let folder = sql.query_one("SELECT id::text FROM file_spaces", &[]).await.expect("one");
    let beside = format!("uploads/{}/beside", folder.get::<_, &str>(0));
    let storage = stage.app.core.storage.as_ref().expect("there is one");
    storage.put(&beside, "text/plain", b"text".to_vec()).await.expect("written");
    assert_eq!(stage.objects().await.len(), 3);
    let me = stage.app.request(Method::DELETE, "/api/v1/users/me").bearer(&stage.token);
    assert_eq!(me.send().await.status, 204);
    stage.app.clock.advance(TimeDelta::hours(1));
    stage.wait_for_objects(0).await;
    for table in ["users", "files", "file_spaces"] {
        let left = sql.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await;
        assert_eq!(left.expect("counted").get::<_, i64>(0), 0, "{table}");
    }
    // Nothing is left to be looked for.
    wait(async || {
        let left = sql.query_one("SELECT count(*) FROM doomed_objects", &[]).await;
        (left.expect("counted").get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}
