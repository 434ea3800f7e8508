//! Which object storage there is.

use super::StartError;
use crate::{
    adapters::storage::{RoleOptions, Storage, StorageOptions},
    config::{Environment, Settings},
};

/// The configured storage; or else the embedded one, which is started, except where the real
/// services belong; or else none.
///
/// # Errors
/// When the embedded one can't run.
pub async fn storage(settings: &Settings) -> Result<Option<Storage>, StartError> {
    let storage = &settings.storage;
    let configured = || {
        Some(StorageOptions {
            endpoint: storage.endpoint.clone(),
            public_endpoint: storage.public_endpoint.clone(),
            region: storage.region.clone(),
            bucket: storage.bucket.clone()?,
            access_key_id: storage.access_key_id.clone()?,
            secret_access_key: storage.secret_access_key.clone()?,
            path_style: storage.path_style,
            prefix: storage.prefix.clone().unwrap_or_default(),
            role: storage
                .role_arn
                .clone()
                .map(|arn| RoleOptions { arn, endpoint: storage.sts_endpoint.clone() }),
        })
    };
    let options = match (configured(), settings.environment) {
        (Some(options), _) => Some(options),
        (None, Environment::Preview | Environment::Production) => None,
        (None, _) => start_embedded(settings).await?,
    };
    Ok(options.map(Storage::new))
}

#[cfg(feature = "embedded")]
async fn start_embedded(settings: &Settings) -> Result<Option<StorageOptions>, StartError> {
    use super::data_dir;
    use crate::embedded::storage::{Options, serve};

    const NAME: &str = "twofold";
    let data_dir = super::data_dir(settings)?;
    let folder = data_dir.join("storage");
    data_dir::make_private_dir(&folder)?;
    let options = Options {
        folder,
        port: settings.embedded.storage_port,
        bucket: NAME.to_owned(),
        access_key_id: NAME.to_owned(),
        secret_access_key: data_dir::secret(&data_dir, "storage")?,
    };
    let address = serve(&options).await?;
    Ok(Some(StorageOptions {
        endpoint: Some(format!("http://{address}")),
        public_endpoint: None,
        region: settings.storage.region.clone(),
        bucket: options.bucket,
        access_key_id: options.access_key_id,
        secret_access_key: options.secret_access_key,
        path_style: true,
        prefix: settings.storage.prefix.clone().unwrap_or_default(),
        role: None,
    }))
}

#[cfg(not(feature = "embedded"))]
async fn start_embedded(_settings: &Settings) -> Result<Option<StorageOptions>, StartError> {
    Ok(None)
}
