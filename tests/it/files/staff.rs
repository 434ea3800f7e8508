//! Files as staff see them, and temporary credentials.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{FILES, PDF, PNG, Stage, text};
use crate::support::{TestApp, http::Answer};

const MANAGED: &str = "/api/v1/backoffice/files";

async fn ask(stage: &Stage, token: &str, path: &str) -> Answer {
    stage.app.get(&format!("{MANAGED}{path}")).bearer(token).send().await
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().expect("a list").iter().map(|file| text(&file["id"])).collect()
}

#[tokio::test]
async fn staff_find_files_see_usage_and_delete_with_a_reason() {
    let mut stage = Stage::set(TestApp::builder()).await;
    let png = stage.ready("image/png", PNG).await;
    let pdf = stage.ready("application/pdf", PDF).await;
    let pending = text(&stage.pending("image/png", PNG).await["file"]["id"]);
    stage.token = stage.app.user_token("bob@example.com").await;
    let other = stage.ready("image/png", PNG).await;
    let staff = stage.app.admin_token().await;
    let all = ask(&stage, &staff, "").await.data();
    assert_eq!(ids(&all), [other.clone(), pending.clone(), pdf.clone(), png.clone()]);
    assert_eq!(all["total"], 4);
    let ada = text(&all["items"][3]["owner_id"]);
    let bob = text(&all["items"][0]["owner_id"]);
    let time = |file: &Value| text(&file["created_at"]).replace('+', "%2B");
    for (query, expected) in [
        (format!("?owner_id={ada}&sort=created_at"), vec![&png, &pdf, &pending]),
        ("?content_type=application/pdf".to_owned(), vec![&pdf]),
        ("?state=pending".to_owned(), vec![&pending]),
        ("?purpose=avatar".to_owned(), vec![]),
        (format!("?size_from={}&state=ready", PNG.len()), vec![&other, &png]),
        (format!("?size_to={}", PDF.len()), vec![&pdf]),
        ("?sort=size&state=ready&per_page=1".to_owned(), vec![&pdf]),
        (format!("?created_from={}", time(&all["items"][0])), vec![&other]),
        (format!("?created_to={}", time(&all["items"][2])), vec![&png]),
    ] {
        let found = ask(&stage, &staff, &query).await.data();
        assert_eq!(ids(&found).iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let usage = ask(&stage, &staff, "/usage").await.data();
    let expected = [(&ada, 3, 2 * PNG.len() + PDF.len()), (&bob, 1, PNG.len())];
    let expected = expected
        .map(|(user, files, bytes)| json!({"user_id": user, "files": files, "bytes": bytes}));
    assert_eq!(usage["items"], json!(expected));

    let preview = stage.app.post(&format!("{MANAGED}/{png}/preview"), json!({})).bearer(&staff);
    let url = text(&preview.send().await.data()["url"]);
    let shown = stage.http.get(url).send().await.expect("an answer");
    assert_eq!(shown.headers()["content-disposition"], "inline");
    let preview = stage.app.post(&format!("{MANAGED}/{pdf}/preview"), json!({})).bearer(&staff);
    let url = text(&preview.send().await.data()["url"]);
    let saved = stage.http.get(url).send().await.expect("an answer");
    assert!(
        saved.headers()["content-disposition"].to_str().expect("text").starts_with("attachment")
    );

    let delete = async |id: &str, body: Value| {
        let request = stage.app.request(Method::DELETE, &format!("{MANAGED}/{id}"));
        request.json(body).bearer(&staff).send().await
    };
    assert_eq!(delete(&png, json!({})).await.faults()[0].0, "reason");
    let reason = json!({"reason": "Not theirs."});
    assert_eq!(delete(&png, reason.clone()).await.status, 204);
    delete(&png, reason).await.assert_error(404, "not_found");
    ask(&stage, &staff, &format!("/{png}")).await.assert_error(404, "not_found");
    let usage = ask(&stage, &staff, "/usage?sort=files").await.data();
    assert_eq!(usage["items"][1]["files"], 2);
    let log = stage.app.get("/api/v1/backoffice/audit-logs").bearer(&staff).send().await.data();
    let done = log["items"].as_array().expect("a list").iter();
    let done: Vec<_> = done.filter(|entry| text(&entry["action"]).contains("file")).collect();
    assert_eq!(done.len(), 3, "{log}");
    assert_eq!(done[0]["subject_id"], ada.as_str());
    assert_eq!(
        (&done[0]["action"], &done[0]["reason"]),
        (&json!("user.file_deleted"), &json!("Not theirs."))
    );
    assert_eq!(done[0]["before"]["id"], png.as_str());
}

#[tokio::test]
async fn staff_find_objects_that_belong_to_no_file() {
    let stage = Stage::set(TestApp::builder()).await;
    stage.ready("image/png", PNG).await;
    let created = stage.pending("image/png", PNG).await;
    stage.upload(&created, PNG).await;
    let storage = stage.app.core.storage.as_ref().expect("there is one");
    let lost = "files/01975b2e-7c40-7000-8000-000000000001/01975b2e-7c40-7000-8000-000000000002";
    for key in [lost, "something/else"] {
        storage.put(key, "text/plain", b"text".to_vec()).await.expect("written");
    }
    let staff = stage.app.admin_token().await;
    let found = ask(&stage, &staff, "/orphans").await.data();
    let orphan = |key: &str| json!({"key": key, "size": 4});
    assert_eq!(found["items"], json!([orphan(lost), orphan("something/else")]));
    let behind = ask(&stage, &staff, "/orphans?after=files/02").await.data();
    assert_eq!(behind["items"], json!([orphan("something/else")]));
}

/// A token service that tells what it was asked, once.
fn token_service() -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        let is_whole = |request: &[u8]| {
            let text = String::from_utf8_lossy(request).into_owned();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            })?;
            (body.len() >= length).then_some(text)
        };
        let text = loop {
            let read = stream.read(&mut buffer).expect("read");
            request.extend_from_slice(&buffer[..read]);
            if let Some(text) = is_whole(&request) {
                break text;
            }
        };
        let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <Credentials><AccessKeyId>ASIATEMPORARY</AccessKeyId><SecretAccessKey>a secret</SecretAccessKey>\
             <SessionToken>a token</SessionToken><Expiration>2030-01-02T03:04:05Z</Expiration></Credentials>\
             </AssumeRoleResult></AssumeRoleResponse>";
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("written");
        text
    });
    (url, asked)
}

/// What was asked for, and who asked.
fn fields(request: &str) -> (String, std::collections::BTreeMap<String, String>) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    let pairs = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    (head.to_lowercase(), pairs)
}

#[tokio::test]
async fn c22_temporary_credentials_are_for_ones_own_folder_only() {
    for is_staff in [false, true] {
        let (url, asked) = token_service();
        let builder = TestApp::builder()
            .setting("TWOFOLD_STORAGE__ENDPOINT", "http://127.0.0.1:1")
            .setting("TWOFOLD_STORAGE__BUCKET", "shop-files")
            .setting("TWOFOLD_STORAGE__PREFIX", "here/")
            .setting("TWOFOLD_STORAGE__ACCESS_KEY_ID", "ours")
            .setting("TWOFOLD_STORAGE__SECRET_ACCESS_KEY", "hidden")
            .setting("TWOFOLD_STORAGE__ROLE_ARN", "arn:aws:iam::123456789012:role/uploads")
            .setting("TWOFOLD_STORAGE__STS_ENDPOINT", &url);
        let stage = Stage::set(builder).await;
        let (path, token) = if is_staff {
            (format!("{MANAGED}/temporary-credentials"), stage.app.admin_token().await)
        } else {
            (format!("{FILES}/temporary-credentials"), stage.token.clone())
        };
        let given = stage.app.request(Method::POST, &path).bearer(&token).send().await;
        assert_eq!(given.header("cache-control"), "no-store");
        let given = given.data();
        assert_eq!(given["access_key_id"], "ASIATEMPORARY");
        assert_eq!(
            (&given["secret_access_key"], &given["session_token"]),
            (&json!("a secret"), &json!("a token"))
        );
        assert_eq!(
            (&given["bucket"], &given["region"]),
            (&json!("shop-files"), &json!("us-east-1"))
        );
        assert!(text(&given["expires_at"]).starts_with("2030-01-02T03:04:05"));
        let prefix = text(&given["prefix"]);
        let start = if is_staff { "here/staff/" } else { "here/uploads/" };
        assert!(
            prefix.starts_with(start) && prefix.ends_with('/') && prefix.len() == start.len() + 37,
            "{prefix}"
        );

        let (head, fields) = fields(&asked.join().expect("asked"));
        assert!(head.contains("credential=ours/") && !head.contains("hidden"), "{head}");
        assert_eq!(fields["Action"], "AssumeRole");
        assert_eq!(fields["RoleArn"], "arn:aws:iam::123456789012:role/uploads");
        assert_eq!(fields["DurationSeconds"], "900");
        let policy: Value = serde_json::from_str(&fields["Policy"]).expect("JSON");
        let statements = policy["Statement"].as_array().expect("a list");
        assert_eq!(statements.len(), 1);
        assert_eq!(statements[0]["Effect"], "Allow");
        assert_eq!(statements[0]["Resource"], format!("arn:aws:s3:::shop-files/{prefix}*"));
        let actions =
            json!(["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]);
        assert_eq!(statements[0]["Action"], actions);
        if is_staff {
            let path = "/api/v1/backoffice/audit-logs?action=admin.storage_credentials_given";
            let entries = stage.app.get(path).bearer(&token).send().await.data();
            assert_eq!(entries["items"].as_array().expect("a list").len(), 1, "{entries}");
        }
    }
}

#[tokio::test]
async fn without_a_role_nobody_gets_credentials() {
    let stage = Stage::set(TestApp::builder()).await;
    let staff = stage.app.admin_token().await;
    for (path, token) in [(FILES, &stage.token), (MANAGED, &staff)] {
        let path = format!("{path}/temporary-credentials");
        let answer = stage.app.request(Method::POST, &path).bearer(token).send().await;
        answer.assert_error(501, "not_configured");
    }
    // Nor a folder.
    assert_eq!(ask(&stage, &staff, "/usage").await.data()["items"], json!([]));
}
