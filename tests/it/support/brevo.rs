//! A server on loopback that speaks Brevo's API, failures included.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

pub const KEY: &str = "xkeysib-test";
/// The recipient that it refuses.
pub const BAD: &str = "bad@example.com";

/// What it answers once instead of working.
pub enum Trouble {
    Answer { status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str },
    Silence,
}

#[derive(Default)]
struct Shared {
    /// What was accepted.
    mails: Mutex<Vec<Value>>,
    troubles: Mutex<VecDeque<Trouble>>,
    requests: Mutex<usize>,
}

/// Ends when it is dropped.
pub struct BrevoServer {
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl BrevoServer {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("bound");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let shared = Arc::new(Shared::default());
        let for_task = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = for_task.clone();
                let answer = service_fn(move |request| answer(request, shared.clone()));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(connection);
            }
        });
        Self { url, shared, task }
    }

    /// The next request meets this.
    pub fn then(&self, trouble: Trouble) {
        self.shared.troubles.lock().expect("lock").push_back(trouble);
    }

    pub fn mails(&self) -> Vec<Value> {
        self.shared.mails.lock().expect("lock").clone()
    }

    pub fn requests(&self) -> usize {
        *self.shared.requests.lock().expect("lock")
    }
}

impl Drop for BrevoServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    *shared.requests.lock().expect("lock") += 1;
    let trouble = shared.troubles.lock().expect("lock").pop_front();
    let (status, headers, body) = match trouble {
        Some(Trouble::Silence) => future::pending().await,
        Some(Trouble::Answer { status, headers, body }) => (status, headers, body.to_owned()),
        None => {
            let (status, body) = work(request, &shared).await;
            (status, &[][..], body.to_string())
        }
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Full::new(body.into())).expect("a response"))
}

async fn work(request: Request<Incoming>, shared: &Shared) -> (u16, Value) {
    let failure = |status: u16, code: &str| (status, json!({"code": code, "message": "canary"}));
    if request.headers().get("api-key").is_none_or(|key| key != KEY) {
        return failure(401, "unauthorized");
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    match what.as_str() {
        "GET /v3/account" => (200, json!({"email": "owner@example.com"})),
        "POST /v3/smtp/email" => {
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            let Ok(mail) = serde_json::from_slice::<Value>(&body) else {
                return failure(400, "bad_request");
            };
            for part in ["/sender/email", "/to/0/email", "/subject", "/textContent"] {
                if !mail.pointer(part).is_some_and(Value::is_string) {
                    return failure(400, "missing_parameter");
                }
            }
            if mail["to"][0]["email"] == BAD {
                return failure(400, "invalid_parameter");
            }
            let mut mails = shared.mails.lock().expect("lock");
            mails.push(mail);
            (201, json!({"messageId": format!("<{}@smtp-relay.mailin.fr>", mails.len())}))
        }
        _ => failure(404, "not_found"),
    }
}
