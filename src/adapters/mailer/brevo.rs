//! Mail over Brevo's HTTP API, version 3 (<https://developers.brevo.com/reference/sendtransacemail>).

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::Bytes,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{Cause, Letter, MailError};
use crate::telemetry::Chain;

/// How long an exchange may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;

const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// Seconds until there is a new allowance, beside a 429.
const RESET: HeaderName = HeaderName::from_static("x-sib-ratelimit-reset");

/// Where Brevo is, and as whom mail is sent.
#[derive(Debug, Clone)]
pub struct BrevoOptions {
    /// Without a path, such as `https://api.brevo.com`.
    pub url: String,
    pub api_key: SecretString,
}

/// Brevo.
pub(super) struct Brevo {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    api_key: HeaderValue,
}

/// What Brevo says, as far as it matters here.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    /// Of a failure, such as `invalid_parameter`.
    code: Option<String>,
}

impl Brevo {
    pub fn new(options: &BrevoOptions) -> Result<Self, MailError> {
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(MailError::invalid)?
            .https_or_http()
            .enable_http1()
            .build();
        let url = options.url.trim_end_matches('/').to_owned();
        let mut api_key =
            HeaderValue::from_str(options.api_key.expose_secret()).map_err(MailError::invalid)?;
        api_key.set_sensitive(true);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), url, api_key })
    }

    /// Asks whose key it is.
    pub async fn check(&self) -> Result<(), Cause> {
        let (status, _, body) = self.exchange(Method::GET, "/v3/account", Bytes::new()).await?;
        if status.is_success() { Ok(()) } else { Err(told(status, &body)) }
    }

    /// The identifier under which Brevo knows the mail.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<String, MailError> {
        let (from, mail) = (letter.from, letter.mail);
        let mut sender = json!({"email": from.email.to_string()});
        if let Some(name) = &from.name {
            sender["name"] = name.as_str().into();
        }
        let mut body = json!({
            "sender": sender,
            "to": [{"email": letter.to.to_string()}],
            "subject": mail.subject,
            "textContent": mail.text,
            "headers": {"Message-ID": letter.message_id()},
        });
        if let Some(html) = &mail.html {
            body["htmlContent"] = html.as_str().into();
        }
        let sent = self.exchange(Method::POST, "/v3/smtp/email", body.to_string().into()).await;
        let (status, headers, body) = sent.map_err(MailError::unavailable)?;
        match status {
            // Whoever else answers here, such as a proxy's sign-in, has not taken the mail.
            _ if status.is_success() => answer(&body).message_id.ok_or_else(|| {
                MailError::unavailable(format!("{} without an id", told(status, &body)))
            }),
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Err(MailError::Refused(told(status, &body))),
            _ => {
                let retry_after = retry_after(&headers);
                Err(MailError::Unavailable { why: told(status, &body), retry_after })
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Cause> {
        let uri: Uri = format!("{}{path}", self.url).parse()?;
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(API_KEY, &self.api_key)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let exchange = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| Cause::from(Chain(&error).to_string()))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?;
            Ok((parts.status, parts.headers, body.to_bytes()))
        };
        let timely = tokio::time::timeout(LIMIT, exchange).await;
        timely.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}").into()))
    }
}

fn answer(body: &[u8]) -> Answer {
    serde_json::from_slice(body).unwrap_or(Answer { message_id: None, code: None })
}

/// A failure for the log: of Brevo's answer only the codes, because its text may repeat whatever it was sent.
fn told(status: StatusCode, body: &[u8]) -> Cause {
    let is_plain = |code: &String| {
        code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let code = answer(body).code.filter(is_plain).unwrap_or_default();
    format!("Brevo answered {} {code}", status.as_u16()).trim_end().into()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name| headers.get(name)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
    seconds(RETRY_AFTER).or_else(|| seconds(RESET))
}
