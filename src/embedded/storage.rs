//! An S3 server on loopback, whose objects are files.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use s3s::{
    S3Request, S3Result,
    access::{S3Access, S3AccessContext},
    auth::SimpleAuth,
    dto::{CopyObjectInput, CopySource, DeleteObjectsInput, PostObjectInput, UploadPartCopyInput},
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpListener, time::sleep};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

/// How long to wait after an error, which the next try would most likely meet as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How much of a body is read at a time, at most: objects are of any size, and many may come at once.
const BUFFER: usize = 64 * 1024;

/// Why the embedded storage can't run. Each message tells what to do.
#[derive(Debug, thiserror::Error)]
pub enum StorageServerError {
    #[error(
        "can't listen on {address}: {error}; stop what listens there, or set TWOFOLD_EMBEDDED__STORAGE_PORT"
    )]
    Bind { address: SocketAddr, error: io::Error },
    #[error("can't use the folder {folder}")]
    Folder { folder: PathBuf, source: io::Error },
}

impl StorageServerError {
    /// Whether another process listens on the port.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Bind { error, .. } if error.kind() == io::ErrorKind::AddrInUse)
    }
}

/// What a caller chooses.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the objects are.
    pub folder: PathBuf,
    /// 0 is any that is free.
    pub port: u16,
    /// Made if it isn't there.
    pub bucket: String,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
}

/// Serves for as long as the process lives; returns the address once it listens.
///
/// # Errors
/// [`StorageServerError`], with what to do about it.
pub async fn serve(options: &Options) -> Result<SocketAddr, StorageServerError> {
    let failed = |source| StorageServerError::Folder { folder: options.folder.clone(), source };
    fs::create_dir_all(options.folder.join(&options.bucket)).map_err(failed)?;
    let files = FileSystem::new(&options.folder)
        .map_err(|error| failed(io::Error::other(format!("{error:?}"))))?;
    let mut service = S3ServiceBuilder::new(files);
    let secret = options.secret_access_key.expose_secret();
    service.set_auth(SimpleAuth::from_single(&options.access_key_id, secret));
    service.set_access(NoDotSegments);

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let failed = |error| StorageServerError::Bind { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tokio::spawn(accept(listener, service.build()));
    Ok(address)
}

async fn accept(listener: TcpListener, service: S3Service) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("the embedded storage can't accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Without it each answer waits some 40 ms for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let connection = async move {
            let mut http = auto::Builder::new(TokioExecutor::new());
            http.http1().max_buf_size(BUFFER);
            // A client that hangs up is no fault.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        };
        // s3s logs whole requests, signatures included. What fails is told by the client's side.
        tokio::spawn(connection.with_subscriber(NoSubscriber::default()));
    }
}

/// Signed requests only, and no key that would lead out of its bucket: `s3s-fs` takes keys as
/// paths below its folder.
struct NoDotSegments;

impl NoDotSegments {
    fn check(key: &str) -> S3Result<()> {
        if key.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(s3_error!(InvalidArgument, "A key must not have the segments . and .."));
        }
        Ok(())
    }

    fn check_source(source: &CopySource) -> S3Result<()> {
        match source {
            CopySource::Bucket { key, .. } => Self::check(key),
            _ => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for NoDotSegments {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        }
        context.s3_path().get_object_key().map_or(Ok(()), Self::check)
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        Self::check_source(&request.input.copy_source)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        Self::check_source(&request.input.copy_source)
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        request.input.delete.objects.iter().try_for_each(|object| Self::check(&object.key))
    }

    async fn post_object(&self, request: &mut S3Request<PostObjectInput>) -> S3Result<()> {
        Self::check(&request.input.key)
    }
}
