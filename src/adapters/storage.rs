//! Object storage over the S3 protocol: Amazon's, or any server that speaks it.

mod multipart;
mod objects;
mod presign;
mod streams;
mod temporary;

use std::{error::Error, future::Future, io, time::Duration};

use aws_sdk_s3::{
    Client, Config,
    config::{
        Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        retry::RetryConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    primitives::AggregatedBytes,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures_util::{FutureExt, Stream, future::BoxFuture, stream};
use hyper::body::Bytes;
use secrecy::{ExposeSecret, SecretString};

use crate::telemetry::Chain;
pub use multipart::Part;
pub use objects::{Inspected, Listed, Listing, Object};
pub use presign::Presigned;
pub use streams::{Received, StreamError};
use temporary::Role;
pub use temporary::{RoleOptions, Temporary};

/// How long one step of a probe may take.
const STEP_LIMIT: Duration = Duration::from_secs(5);
const READ: &str = "read an object";
const WRITE: &str = "write an object";
const PROBE_TEXT: &[u8] = b"Written to see whether the storage works; it may be deleted.";

/// Where objects are kept, and as whom.
#[derive(Debug, Clone)]
pub struct StorageOptions {
    /// The server's URL; `None` is Amazon's of the region.
    pub endpoint: Option<String>,
    /// Where others reach the server, if it is elsewhere.
    pub public_endpoint: Option<String>,
    pub region: String,
    pub bucket: String,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    /// Names the bucket in the path of a URL instead of its host name, as most servers but
    /// Amazon's want it.
    pub path_style: bool,
    /// Stands in front of every key, such as `twofold/`.
    pub prefix: String,
    /// What gives credentials to others; `None`: nothing does.
    pub role: Option<RoleOptions>,
}

/// The storage didn't do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the storage can't {step}: {why}")]
pub struct StorageError {
    /// What was tried, such as `write an object`.
    step: &'static str,
    why: String,
}

/// The configured storage.
#[derive(Debug, Clone)]
pub struct Storage {
    client: Client,
    /// What signs URLs for others.
    signer: Client,
    bucket: String,
    prefix: String,
    region: String,
    /// Where others reach it.
    public_endpoint: Option<String>,
    role: Option<Role>,
}

impl Storage {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(options: StorageOptions) -> Self {
        let StorageOptions {
            endpoint, public_endpoint, region, bucket, path_style, prefix, ..
        } = options;
        let tls = Provider::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let secret = options.secret_access_key.expose_secret();
        let credentials = Credentials::new(options.access_key_id, secret, None, None, "settings");
        let role = options.role.map(|role| {
            let mut config = aws_sdk_sts::Config::builder()
                .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
                .http_client(http.clone())
                .region(Region::new(region.clone()))
                .credentials_provider(credentials.clone())
                .retry_config(RetryConfig::disabled());
            config.set_endpoint_url(role.endpoint);
            Role { arn: role.arn, client: aws_sdk_sts::Client::from_conf(config.build()) }
        });
        let mut config = Config::builder()
            .behavior_version_latest()
            .http_client(http)
            .region(Region::new(region.clone()))
            .force_path_style(path_style)
            .credentials_provider(credentials)
            // Not every server knows those that the SDK would add, and a signed URL has no body yet.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // Who asks shall hear soon that it is down, and may ask again; jobs do.
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url(endpoint.clone());
        let config = config.build();
        let public_endpoint = public_endpoint.or(endpoint);
        let mut signer = config.to_builder();
        signer.set_endpoint_url(public_endpoint.clone());
        let signer = Client::from_conf(signer.build());
        let client = Client::from_conf(config);
        Self { client, signer, bucket, prefix, region, public_endpoint, role }
    }

    /// Asks whether the bucket is there and open to us.
    ///
    /// # Errors
    /// When it isn't, or nothing answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let head = self.client.head_bucket().bucket(&self.bucket).send();
        step("find the bucket", head).await.map(|_| ())
    }

    /// Writes a small object, reads it back and deletes it.
    ///
    /// # Errors
    /// With the step that failed and why.
    pub async fn probe(&self) -> Result<(), StorageError> {
        // Always the same one: some servers keep something of every key that there ever was.
        const KEY: &str = "probe";
        self.put(KEY, "text/plain", PROBE_TEXT.to_vec()).await?;
        let read = self.read(KEY).await;
        let deleted = self.delete(KEY).await;
        if read? != PROBE_TEXT {
            let why = "it holds something else".to_owned();
            return Err(StorageError { step: READ, why });
        }
        deleted
    }

    /// Makes an object.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), StorageError> {
        let put = self.client.put_object().bucket(&self.bucket).key(self.key(key));
        step(WRITE, put.content_type(content_type).body(bytes.into()).send()).await?;
        Ok(())
    }

    /// Opens an object, of which a piece at a time is in memory.
    ///
    /// # Errors
    /// When the storage doesn't do it; what fails later is an item.
    pub async fn open(
        &self,
        key: &str,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, StorageError> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.key(key)).send();
        let object = step(READ, get).await?;
        Ok(stream::try_unfold(object.body, |mut body| async move {
            let piece = body.try_next().await.map_err(io::Error::other)?;
            Ok(piece.map(|piece| (piece, body)))
        }))
    }

    /// Reads an object, all of which has to fit into memory.
    ///
    /// # Errors
    /// When the storage doesn't do it.
    pub async fn read(&self, key: &str) -> Result<Vec<u8>, StorageError> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.key(key)).send();
        let object = step(READ, get).await?;
        let body = object.body.collect().await;
        body.map(AggregatedBytes::to_vec)
            .map_err(|error| StorageError { step: READ, why: Chain(&error).to_string() })
    }
}

/// A call that takes no longer than most may.
fn step<'a, T: 'a, E: Error + ProvideErrorMetadata + 'static>(
    name: &'static str,
    call: impl Future<Output = Result<T, SdkError<E>>> + Send + 'a,
) -> BoxFuture<'a, Result<T, StorageError>> {
    step_within(STEP_LIMIT, name, call)
}

/// Boxed, for the futures of the SDK are tens of kilobytes large.
fn step_within<'a, T: 'a, E: Error + ProvideErrorMetadata + 'static>(
    limit: Duration,
    name: &'static str,
    call: impl Future<Output = Result<T, SdkError<E>>> + Send + 'a,
) -> BoxFuture<'a, Result<T, StorageError>> {
    let failed = move |why| StorageError { step: name, why };
    async move {
        match tokio::time::timeout(limit, call).await {
            Ok(outcome) => outcome.map_err(|error| failed(why(&error))),
            Err(_) => Err(failed(format!("no answer within {limit:?}"))),
        }
    }
    .boxed()
}

/// The server's answer, and which settings it most likely speaks of; without one, why not.
fn why<E: Error + ProvideErrorMetadata + 'static>(error: &SdkError<E>) -> String {
    let Some(answer) = error.raw_response() else { return Chain(error).to_string() };
    let status = answer.status().as_u16();
    let settings = match status {
        301 | 307 | 400 => "storage.region and storage.endpoint",
        401 | 403 => "storage.access_key_id, storage.secret_access_key and what they may do",
        404 => "storage.bucket and storage.path_style",
        _ => "the server's own log",
    };
    let code = error.code().map(|code| format!(" {code}")).unwrap_or_default();
    format!("the server answered {status}{code}; check {settings}")
}
