//! Certificate and key from PEM files, read again when they change.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use rustls::{
    InconsistentKeys, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::telemetry::Chain;

/// Where certificate and key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate and those between it and its authority's, as PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, as PEM.
    pub key: PathBuf,
    /// How often to look for new ones.
    pub check_every: Duration,
}

/// Why certificate and key can't be used. Each message tells what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("can't read the TLS {what} {path}")]
    Read { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{0} holds no certificate; it must have a \"BEGIN CERTIFICATE\" block (PEM)")]
    NoCertificate(PathBuf),
    #[error("{0} holds no private key; it must have a \"BEGIN PRIVATE KEY\" block (PEM)")]
    NoKey(PathBuf),
    #[error("{key} is not the key of the certificate in {certificate}; use the two of one pair")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("certificate {certificate} and key {key} are of no use")]
    Unusable { certificate: PathBuf, key: PathBuf, source: rustls::Error },
}

/// What the files held when they were last looked at.
#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate in use.
struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

/// TLS 1.2 and 1.3 by the certificate in `files`, for HTTP/2 and HTTP/1.1. A task follows
/// changes of the files for as long as the configuration is in use.
///
/// # Errors
/// When the files can't be read or don't belong together.
pub(super) fn server_config(files: TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pem = Pem::read(&files)?;
    let current = RwLock::new(Arc::new(pem.parse(&files, &provider)?));
    warn_of_open_key(&files.key);
    let certificate = Arc::new(Certificate { files, provider: provider.clone(), current });
    tokio::spawn(follow(Arc::downgrade(&certificate), certificate.files.check_every, pem));

    let unusable = |source| TlsError::Unusable {
        certificate: certificate.files.certificate.clone(),
        key: certificate.files.key.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_cert_resolver(certificate.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Takes new files into use, and keeps the old certificate while they are of no use. Contents
/// are compared: renewals come as new files, as links or in place, with whatever times.
async fn follow(certificate: Weak<Certificate>, every: Duration, mut seen: Pem) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(certificate) = certificate.upgrade() else { return };
        let files = &certificate.files;
        let pem = match Pem::read(files) {
            Ok(pem) if pem == seen => continue,
            Ok(pem) => pem,
            Err(error) => {
                tracing::error!("the TLS certificate can't be renewed: {}", Chain(&error));
                continue;
            }
        };
        match pem.parse(files, &certificate.provider) {
            Ok(key) => {
                let mut current =
                    certificate.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(key);
                tracing::info!("the TLS certificate was renewed");
            }
            Err(error) => {
                tracing::error!("the new TLS certificate is not used: {}", Chain(&error));
            }
        }
        seen = pem;
    }
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |what, path: &Path| {
            let failed = |source| TlsError::Read { what, path: path.to_owned(), source };
            fs::read(path).map_err(failed)
        };
        let certificate = read("certificate", &files.certificate)?;
        Ok(Self { certificate, key: read("key", &files.key)? })
    }

    fn parse(&self, files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let (certificate, key) = (files.certificate.clone(), files.key.clone());
        let chain: Vec<CertificateDer> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate));
        }
        let Ok(private) = PrivateKeyDer::from_pem_slice(&self.key) else {
            return Err(TlsError::NoKey(key));
        };
        CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { certificate, key }
            }
            source => TlsError::Unusable { certificate, key, source },
        })
    }
}

fn warn_of_open_key(key: &Path) {
    let mode = fs::metadata(key).map_or(0, |found| found.permissions().mode());
    if mode & 0o004 != 0 {
        let key = key.display();
        tracing::warn!("every account can read the TLS key {key}; chmod o-rwx would end that");
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}
