//! What users may upload.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    config,
    db::file_spaces::Quota,
    services::files::{FileType, Files, Policy},
};

/// The rules of files.
pub fn rules(settings: &config::Files) -> Files {
    Files {
        quota: Quota { files: settings.quota_files, bytes: settings.quota_bytes },
        avatar: policy(&settings.avatar),
        post_cover: policy(&settings.post_cover),
        attachment: policy(&settings.attachment),
        single_size: settings.single_max_bytes,
        credentials_seconds: settings.credentials_seconds,
        upload_life: TimeDelta::seconds(settings.upload_seconds.into()),
        download_life: TimeDelta::seconds(settings.download_seconds.into()),
        direct_limit: Duration::from_secs(settings.direct_seconds.into()),
        pending_life: TimeDelta::hours(settings.pending_hours.into()),
    }
}

fn policy(settings: &config::FilePolicy) -> Policy {
    Policy {
        // Others aren't values of the setting.
        types: settings.types.iter().filter_map(|name| FileType::parse(name)).collect(),
        max_size: settings.max_bytes,
    }
}
