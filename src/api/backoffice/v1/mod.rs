//! Version 1 of the backoffice API: one file per resource.

pub mod auth;
pub mod users;

use poem_openapi::{OpenApiService, Tags};

use crate::api::{BACKOFFICE_PREFIX, document};

/// The parts of the document.
#[derive(Tags)]
pub enum Tag {
    /// Sign-in of the staff.
    Auth,
    /// The users of the client API.
    Users,
}

type Api = (auth::AuthApi, users::UsersApi);

/// All operations; needs no database.
#[must_use]
pub fn service() -> OpenApiService<Api, ()> {
    OpenApiService::new((auth::AuthApi, users::UsersApi), "Twofold Backoffice API", "1.0")
        .description(document::description("For admin staff."))
        .url_prefix(BACKOFFICE_PREFIX)
}
