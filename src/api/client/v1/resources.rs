//! The resources of this version, a line each.

crate::api::resources::resources! {
    Auth = "Registration, sign-in and recovery.": auth::AuthApi, second_factor::SecondFactorApi, sessions::SessionsApi;
    Users = "The signed-in user's own account.": users::UsersApi, avatar::AvatarApi;
    Notifications = "What the signed-in user is told.": notifications::NotificationsApi;
    Files = "The signed-in user's own files.": files::FilesApi, multipart::MultipartApi, pictures::PicturesApi;
    Posts = "What users write.": posts::PostsApi, posts::SearchApi, posts::PublishingApi, posts::OwnPostsApi,
        posts::ReactionsApi, posts::RevisionsApi, posts::PostReportsApi, posts::AttachmentsApi;
    Config = "The state of the service and of the apps.": config::ConfigApi;
}
