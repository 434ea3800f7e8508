//! A small HTTP client whose answers are easy to assert on, and hold to the documents.

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::contract;

/// A request on its way.
pub struct Request(reqwest::RequestBuilder);

impl Request {
    pub fn new(client: &reqwest::Client, method: Method, url: String) -> Self {
        Self(client.request(method, url))
    }

    pub fn json(self, body: impl serde::Serialize) -> Self {
        Self(self.0.json(&body))
    }

    pub fn bearer(self, token: &str) -> Self {
        Self(self.0.bearer_auth(token))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let (client, request) = self.0.build_split();
        let request = request?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let answer = Answer { status, headers, text };
        contract::check(&method, &path, &answer);
        Ok(answer)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The data of a success, which must be one in every respect.
    #[track_caller]
    pub fn data(&self) -> Value {
        let json = self.json();
        assert_eq!(self.status, 200, "{json}");
        assert_eq!(json["code"], 200, "{json}");
        assert!(json["message"].is_string(), "{json}");
        assert!(json.get("error").is_none(), "{json}");
        json["data"].clone()
    }

    /// Checks that it is a failure of this status and identifier, in the whole envelope.
    #[track_caller]
    pub fn assert_error(&self, status: u16, error: &str) -> Value {
        let json = self.json();
        assert_eq!((self.status, json["error"].as_str()), (status, Some(error)), "{json}");
        let code = json["code"].as_u64().expect("a code");
        assert!(code == u64::from(status) || (1000..10_000).contains(&code), "{json}");
        assert!(!json["message"].as_str().unwrap_or_default().is_empty(), "{json}");
        assert_eq!(json["request_id"].as_str(), Some(self.header("x-request-id")), "{json}");
        assert!(json.get("data").is_none(), "{json}");
        json
    }

    /// The fields and rules of a validation failure, in order.
    #[track_caller]
    pub fn faults(&self) -> Vec<(String, String)> {
        let json = self.assert_error(422, "validation_failed");
        assert_eq!(json["code"], 1001);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let errors = json["errors"].as_array().expect("a list");
        errors.iter().map(|e| (text(&e["field"]), text(&e["error"]))).collect()
    }
}
