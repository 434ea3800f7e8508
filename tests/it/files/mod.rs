//! Files: announced, uploaded past the server, looked at, downloaded, and gone. Each test runs on the embedded S3
//! server and on another one, which is a process of its own.

mod faults;
mod hostile;
mod parts;
mod pictures;
mod removal;
mod staff;
mod uploads;

use std::borrow::Borrow;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, app::Builder, http::Answer, s3::S3, wait};

pub use pictures::picture;

/// Runs tests on both servers.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::files::Server::Embedded).await;
            })+
        }

        mod process {
            $(#[tokio::test]
            async fn $name() {
                let s3 = crate::support::s3::S3::start().await;
                super::$name(crate::files::Server::Process(s3)).await;
            })+
        }
    };
}
use on_both;

pub const FILES: &str = "/api/v1/files";
pub const ADA: &str = "ada@example.com";
pub const PDF: &[u8] = b"%PDF-1.7\nnot much of one";
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on";

/// Where the objects are.
pub enum Server {
    Embedded,
    Process(S3),
}

impl Server {
    pub fn app(&self) -> Builder {
        match self {
            Self::Embedded => TestApp::builder(),
            Self::Process(s3) => on(s3),
        }
    }

    /// Whether downloads are answered as their URLs say.
    pub fn knows_overrides(&self) -> bool {
        matches!(self, Self::Embedded)
    }
}

/// An application that keeps its files there.
pub fn on(s3: &S3) -> Builder {
    let with = |app: Builder, (name, value): (&str, String)| app.setting(name, &value);
    s3.variables().into_iter().fold(TestApp::builder(), with)
}

/// A user with files, of an application of their own or another test's.
pub struct Stage<A = TestApp> {
    pub app: A,
    pub token: String,
    pub http: reqwest::Client,
}

impl Stage {
    pub async fn set(builder: Builder) -> Self {
        Self::set_earlier(builder, TimeDelta::zero()).await
    }

    /// So much before the present, by which the storage's servers judge URLs.
    pub async fn set_earlier(builder: Builder, by: TimeDelta) -> Self {
        let mut app = builder.start().await;
        app.clock.advance(-by);
        let token = app.user_token(ADA).await;
        Self::of(app, token)
    }
}

impl<A: Borrow<TestApp>> Stage<A> {
    pub fn of(app: A, token: String) -> Self {
        Self { app, token, http: reqwest::Client::new() }
    }

    pub async fn announce(&self, body: Value) -> Answer {
        self.app.borrow().post(FILES, body).bearer(&self.token).send().await
    }

    /// An attachment that is yet to be uploaded.
    pub async fn pending(&self, kind: &str, bytes: &[u8]) -> Value {
        self.announce(attachment(kind, bytes.len())).await.data()
    }

    pub async fn complete(&self, id: &str) -> Answer {
        self.app
            .borrow()
            .post(&format!("{FILES}/{id}/complete"), json!({}))
            .bearer(&self.token)
            .send()
            .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.app.borrow().get(&format!("{FILES}{path}")).bearer(&self.token).send().await
    }

    pub async fn delete(&self, id: &str) -> u16 {
        let request = self.app.borrow().request(Method::DELETE, &format!("{FILES}/{id}"));
        request.bearer(&self.token).send().await.status
    }

    /// Sends an upload as its answer says, but for what `change` makes of it.
    pub async fn upload_as(
        &self,
        created: &Value,
        bytes: &[u8],
        change: impl FnOnce(&mut reqwest::Request),
    ) -> u16 {
        let upload = &created["upload"];
        let method: Method = text(&upload["method"]).parse().expect("a method");
        let mut request = self.http.request(method, text(&upload["url"])).body(bytes.to_vec());
        for header in upload["headers"].as_array().expect("a list") {
            // The client counts for itself.
            if header["name"] != "content-length" {
                request = request.header(text(&header["name"]), text(&header["value"]));
            }
        }
        let mut request = request.build().expect("a request");
        change(&mut request);
        self.http.execute(request).await.map_or(0, |answer| answer.status().as_u16())
    }

    pub async fn upload(&self, created: &Value, bytes: &[u8]) {
        assert_eq!(self.upload_as(created, bytes, |_| {}).await, 200);
    }

    /// An attachment that is ready: its identifier.
    pub async fn ready(&self, kind: &str, bytes: &[u8]) -> String {
        let created = self.pending(kind, bytes).await;
        self.upload(&created, bytes).await;
        let id = text(&created["file"]["id"]);
        assert_eq!(self.complete(&id).await.data()["state"], "ready");
        id
    }

    /// What is downloaded of a file.
    pub async fn download(&self, id: &str) -> Download {
        let url = text(&self.get(&format!("/{id}/download")).await.data()["url"]);
        let answer = self.http.get(url).send().await.expect("an answer");
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (kind, disposition) = (header("content-type"), header("content-disposition"));
        let status = answer.status().as_u16();
        Download { status, kind, disposition, bytes: answer.bytes().await.expect("read").to_vec() }
    }

    /// The keys of all objects that there are.
    pub async fn objects(&self) -> Vec<String> {
        wait(async || {
            let storage = self.app.borrow().core.storage.as_ref().expect("there is one");
            // While some are being deleted the embedded server stumbles over them.
            let listed = storage.list("", None).await.ok()?;
            assert_eq!(listed.next, None, "a few");
            Some(listed.objects.into_iter().map(|object| object.key).collect())
        })
        .await
    }

    /// Waits until there are so many objects.
    pub async fn wait_for_objects(&self, count: usize) -> Vec<String> {
        wait(async || Some(self.objects().await).filter(|keys| keys.len() == count)).await
    }
}

/// What a download answers.
pub struct Download {
    pub status: u16,
    pub kind: String,
    pub disposition: String,
    pub bytes: Vec<u8>,
}

pub fn attachment(kind: &str, size: usize) -> Value {
    json!({"name": "a file", "content_type": kind, "size": size, "purpose": "attachment"})
}

pub fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
