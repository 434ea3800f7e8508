//! Object storage: the embedded server, and what happens when a server doesn't answer.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use aws_sdk_s3::{
    Client, Config,
    config::{Credentials, Region},
    types::{Delete, ObjectIdentifier},
};
use aws_smithy_http_client::Builder;
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};
use twofold::{
    adapters::storage::{Storage, StorageOptions},
    embedded::storage::{Options, serve},
};

use crate::support::TestApp;

const BUCKET: &str = "objects";
const SECRET: &str = "the-right-secret";
const WRONG_SECRET: &str = "the-wrong-secret";

/// The embedded server on a folder of its own.
async fn start(folder: &Path) -> StorageOptions {
    let options = Options {
        folder: folder.join("storage"),
        port: 0,
        bucket: BUCKET.to_owned(),
        access_key_id: "key".to_owned(),
        secret_access_key: SECRET.into(),
    };
    let address = serve(&options).await.expect("it starts");
    StorageOptions {
        endpoint: Some(format!("http://{address}")),
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        bucket: options.bucket,
        access_key_id: options.access_key_id,
        secret_access_key: options.secret_access_key,
        path_style: true,
        prefix: "some/prefix/".to_owned(),
        role: None,
    }
}

/// A client that can do more than the product does so far.
fn client(options: &StorageOptions) -> Client {
    let config = Config::builder()
        .behavior_version_latest()
        .http_client(Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .endpoint_url(options.endpoint.clone().expect("set"))
        .force_path_style(true)
        .credentials_provider(Credentials::new("key", SECRET, None, None, "test"));
    Client::from_conf(config.build())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("directory")
}

#[tokio::test]
async fn a_probe_leaves_nothing_behind() {
    let folder = folder();
    let options = start(folder.path()).await;
    let storage = Storage::new(options.clone());
    storage.ping().await.expect("the bucket is there");
    storage.probe().await.expect("written, read and deleted");
    let objects = client(&options).list_objects_v2().bucket(BUCKET).send().await.expect("listed");
    assert_eq!(objects.key_count(), Some(0), "{objects:?}");
}

#[tokio::test]
async fn faults_name_the_step_and_no_secret() {
    let folder = folder();
    let options = start(folder.path()).await;
    let with = |change: fn(&mut StorageOptions)| {
        let mut options = options.clone();
        change(&mut options);
        Storage::new(options)
    };
    for (storage, expected) in [
        (with(|o| o.secret_access_key = WRONG_SECRET.into()), "403 SignatureDoesNotMatch"),
        (with(|o| o.access_key_id = "other".to_owned()), "403 NotSignedUp"),
        (with(|o| o.endpoint = Some("http://127.0.0.1:1".to_owned())), "refused"),
    ] {
        let ping = storage.ping().await.expect_err(expected).to_string();
        let probe = storage.probe().await.expect_err(expected).to_string();
        assert!(ping.starts_with("the storage can't find the bucket: "), "{ping}");
        assert!(probe.starts_with("the storage can't write an object: "), "{probe}");
        assert!(probe.contains(expected), "{probe}");
        // Its answer has no body that could hold the code.
        assert!(ping.contains(&expected[..3]), "{ping}");
        for text in [ping, probe] {
            assert!(!text.contains(SECRET) && !text.contains(WRONG_SECRET), "{text}");
        }
    }
    // The embedded server would make the bucket for a probe.
    let missing = with(|o| o.bucket = "missing".to_owned()).ping().await.expect_err("none");
    assert!(missing.to_string().contains("404 NotFound; check storage.bucket"), "{missing}");
}

#[tokio::test]
async fn unsigned_requests_are_refused() {
    let folder = folder();
    let options = start(folder.path()).await;
    let put = client(&options).put_object().bucket(BUCKET).key("object");
    put.body(b"text".to_vec().into()).send().await.expect("written");
    for path in ["", "/objects", "/objects/object", "/objects/object?x-id=GetObject"] {
        let url = format!("{}{path}", options.endpoint.clone().expect("set"));
        assert_eq!(reqwest::get(url).await.expect("an answer").status(), 403, "{path}");
    }
}

#[tokio::test]
async fn no_key_leads_out_of_its_bucket() {
    let folder = folder();
    let options = start(folder.path()).await;
    let client = client(&options);
    let secret = folder.path().join("storage/secret");
    fs::write(&secret, "precious").expect("written");
    let put = |key: &str| {
        client.put_object().bucket(BUCKET).key(key).body(b"text".to_vec().into()).send()
    };
    put("a.b/..c/d..").await.expect("dots within names are fine");
    for key in ["../secret", "a/../../secret", "./../secret", "../../secret", ".."] {
        put(key).await.expect_err(key);
        client.get_object().bucket(BUCKET).key(key).send().await.expect_err(key);
        client.delete_object().bucket(BUCKET).key(key).send().await.expect_err(key);
        let copy = client.copy_object().bucket(BUCKET).key("copy");
        copy.copy_source(format!("{BUCKET}/{key}")).send().await.expect_err(key);
        let object = ObjectIdentifier::builder().key(key).build().expect("a key");
        let delete = Delete::builder().objects(object).build().expect("a list");
        client.delete_objects().bucket(BUCKET).delete(delete).send().await.expect_err(key);
    }
    assert_eq!(fs::read_to_string(&secret).expect("still there"), "precious");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

#[test]
fn objects_survive_a_restart() {
    let folder = folder();
    // The server ends with its runtime, as it does with its process.
    let run = || Runtime::new().expect("runtime");
    run().block_on(async {
        let client = client(&start(folder.path()).await);
        let put = client.put_object().bucket(BUCKET).key("a/b").content_type("text/plain");
        put.body(b"text".to_vec().into()).send().await.expect("written");
    });
    run().block_on(async {
        let client = client(&start(folder.path()).await);
        let object = client.get_object().bucket(BUCKET).key("a/b").send().await.expect("there");
        assert_eq!(object.content_type(), Some("text/plain"));
        assert_eq!(object.body.collect().await.expect("a body").to_vec(), b"text");
    });
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let options = Options {
        folder: folder.path().to_owned(),
        port: taken.local_addr().expect("address").port(),
        bucket: BUCKET.to_owned(),
        access_key_id: "key".to_owned(),
        secret_access_key: SECRET.into(),
    };
    let error = serve(&options).await.expect_err("taken");
    assert!(error.is_in_use(), "{error}");
    assert!(error.to_string().contains("TWOFOLD_EMBEDDED__STORAGE_PORT"), "{error}");
}

#[tokio::test]
async fn a_dead_storage_degrades_and_a_slow_one_holds_up_nobody() {
    // One that refuses, and one that accepts and never answers.
    let slow = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let slow = slow.local_addr().map(|address| (slow, address)).expect("address");
    for address in ["127.0.0.1:1".to_owned(), slow.1.to_string()] {
        let app = TestApp::builder()
            .setting("TWOFOLD_STORAGE__ENDPOINT", &format!("http://{address}"))
            .setting("TWOFOLD_STORAGE__BUCKET", BUCKET)
            .setting("TWOFOLD_STORAGE__ACCESS_KEY_ID", "key")
            .setting("TWOFOLD_STORAGE__SECRET_ACCESS_KEY", SECRET)
            .start()
            .await;
        let asked = Instant::now();
        let answer = app.get("/api/v1/config/health").send().await;
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert_eq!(answer.status, 200);
        let data = answer.data();
        assert_eq!(data["status"], "degraded", "{data}");
        assert_eq!(data["services"]["storage"]["status"], "down", "{data}");
        assert_eq!(data["services"]["database"]["status"], "up", "{data}");
        assert!(!answer.text.contains(&address), "{}", answer.text);
        app.get("/health/ready").send().await.data();
    }
}

#[tokio::test]
async fn where_real_services_belong_there_is_no_stand_in() {
    let app = TestApp::builder()
        .setting("TWOFOLD_ENV", "preview")
        .setting("SMTP_URL", "smtp://127.0.0.1:1")
        .start()
        .await;
    assert!(app.core.storage.is_none());
    let data = app.get("/api/v1/config/health").send().await.data();
    assert_eq!(data["services"].get("storage"), None, "{data}");
    assert_ne!(data["status"], json!("unhealthy"));
}
