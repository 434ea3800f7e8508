//! Version 1 of the client API: one file per resource.

pub mod auth;
pub mod avatar;
pub mod config;
pub mod files;
pub mod multipart;
pub mod notifications;
pub mod pictures;
pub mod posts;
pub mod second_factor;
pub mod sessions;
pub mod users;

use poem_openapi::{OpenApiService, Tags};

use crate::api::{
    document,
    version::{ApiVersion, Surface},
};

/// The parts of the document.
#[derive(Tags)]
pub enum Tag {
    /// Registration, sign-in and recovery.
    Auth,
    /// The signed-in user's own account.
    Users,
    /// What the signed-in user is told.
    Notifications,
    /// The signed-in user's own files.
    Files,
    /// What users write.
    Posts,
    /// The state of the service and of the apps.
    Config,
}

/// All operations; needs no database.
#[must_use]
pub fn version() -> ApiVersion {
    let api = (
        auth::AuthApi,
        second_factor::SecondFactorApi,
        sessions::SessionsApi,
        users::UsersApi,
        notifications::NotificationsApi,
        avatar::AvatarApi,
        (files::FilesApi, multipart::MultipartApi, pictures::PicturesApi),
        (posts::PostsApi, posts::SearchApi, posts::PublishingApi, posts::OwnPostsApi),
        (posts::ReactionsApi, posts::RevisionsApi, posts::PostReportsApi, posts::AttachmentsApi),
        config::ConfigApi,
    );
    let service = OpenApiService::new(api, "Twofold Client API", "1.0");
    ApiVersion::new(Surface::Client, "v1", document::introduce(service, "For mobile and web apps."))
}
