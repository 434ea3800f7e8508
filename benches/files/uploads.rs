//! A user who uploads and downloads.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, Method, RequestBuilder};
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use twofold::adapters::random::hex;

/// How many parts are uploaded at once.
const AT_ONCE: usize = 4;
const MIB: u64 = 1 << 20;

pub struct User {
    base: String,
    token: String,
    http: Client,
}

/// The bytes of a file from there on: no two of its kilobytes are the same.
fn bytes(from: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).expect("a part"));
    if from == 0 {
        bytes.extend_from_slice(b"%PDF-1.7");
    }
    let mut block = from / 8 + bytes.len() as u64 / 8;
    while (bytes.len() as u64) < length {
        // SplitMix64.
        let mut mixed = block.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        block += 1;
    }
    bytes.truncate(usize::try_from(length).expect("a part"));
    bytes
}

/// The bytes of a file, MiB by MiB.
fn pieces(size: u64) -> impl Iterator<Item = Vec<u8>> + Send {
    (0..size.div_ceil(MIB)).map(move |piece| bytes(piece * MIB, MIB.min(size - piece * MIB)))
}

fn sha256(size: u64) -> String {
    let mut digest = Context::new(&SHA256);
    pieces(size).for_each(|piece| digest.update(&piece));
    hex(digest.finish().as_ref())
}

fn announcement(size: u64) -> Value {
    json!({"name": "large.pdf", "content_type": "application/pdf", "size": size, "purpose": "attachment",
           "sha256": sha256(size)})
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn rate(size: u64, started: Instant) -> String {
    let took = started.elapsed();
    let megabytes = f64::from(u32::try_from(size / 1_000_000).expect("less than a petabyte"));
    format!("{took:.1?}, {:.0} MB/s", megabytes / took.as_secs_f64())
}

impl User {
    pub async fn sign_in(base: &str, email: &str, password: &str) -> Self {
        let mut user = Self { base: base.to_owned(), token: String::new(), http: Client::new() };
        let login = json!({"email": email, "password": password});
        let signed_in = user.ask(Method::POST, "auth/login", &login).await;
        text(&signed_in["access_token"]).clone_into(&mut user.token);
        user
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1/{path}", self.base));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.json(body) };
        data(request).await
    }

    /// The file once it is ready, or of no use.
    pub async fn upload_in_parts(&self, size: u64) -> (Value, String) {
        let announced = announcement(size);
        let started = Instant::now();
        let created = self.ask(Method::POST, "files/multipart", &announced).await;
        let (id, parts) = (text(&created["file"]["id"]), created["parts"].as_u64().expect("some"));
        let part_size = created["part_size"].as_u64().expect("a size");
        let numbers: Vec<u64> = (1..=parts).collect();
        let uploads = numbers.chunks(20).map(|numbers| async move {
            let path = format!("files/{id}/parts");
            let signed = self.ask(Method::POST, &path, &json!({"numbers": numbers})).await;
            let signed = signed["items"].as_array().expect("a list").clone();
            stream::iter(signed)
                .for_each_concurrent(AT_ONCE, |part| self.send(part, part_size))
                .await;
        });
        for upload in uploads {
            upload.await;
        }
        let sent = rate(size, started);
        let completed = Instant::now();
        let path = format!("files/{id}");
        let mut file = self.ask(Method::POST, &format!("{path}/complete"), &json!({})).await;
        while file["state"] == "processing" {
            tokio::time::sleep(Duration::from_millis(100)).await;
            file = self.ask(Method::GET, &path, &Value::Null).await;
        }
        (file, format!("sent in {sent}; ready after {:.1?}", completed.elapsed()))
    }

    async fn send(&self, part: Value, part_size: u64) {
        let (number, upload) = (part["number"].as_u64().expect("a number"), &part["upload"]);
        let body = bytes((number - 1) * part_size, part["size"].as_u64().expect("a size"));
        let method = text(&upload["method"]).parse().expect("a method");
        let answer = self.http.request(method, text(&upload["url"])).body(body).send().await;
        assert_eq!(answer.expect("an answer").status(), 200, "part {number}");
    }

    /// The checksum of what comes.
    pub async fn download(&self, file: &Value) -> (String, String) {
        let started = Instant::now();
        let path = format!("files/{}/download", text(&file["id"]));
        let download = self.ask(Method::GET, &path, &Value::Null).await;
        let answer = self.http.get(text(&download["url"])).send().await.expect("an answer");
        let (mut digest, mut size) = (Context::new(&SHA256), 0);
        let mut incoming = answer.bytes_stream();
        while let Some(piece) = incoming.try_next().await.expect("more of it") {
            digest.update(&piece);
            size += piece.len() as u64;
        }
        (hex(digest.finish().as_ref()), rate(size, started))
    }

    /// By way of the server.
    pub async fn stream(&self, size: u64) -> (Value, String) {
        let created = self.ask(Method::POST, "files", &announcement(size)).await;
        let started = Instant::now();
        let path = format!("files/{}/content", text(&created["file"]["id"]));
        let body =
            reqwest::Body::wrap_stream(stream::iter(pieces(size).map(Ok::<_, std::io::Error>)));
        let put = self.request(Method::PUT, &path).header("content-length", size).body(body);
        let file = data(put.header("content-type", "application/octet-stream")).await;
        (file, rate(size, started))
    }
}

async fn data(request: RequestBuilder) -> Value {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("read");
    assert!(status.is_success(), "{status}: {text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    answer["data"].clone()
}
