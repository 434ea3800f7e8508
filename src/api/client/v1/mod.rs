//! Version 1 of the client API: one file per resource.

pub mod auth;
pub mod avatar;
pub mod config;
pub mod files;
pub mod multipart;
pub mod notifications;
pub mod pictures;
pub mod posts;
mod resources;
pub mod second_factor;
pub mod sessions;
pub mod users;

use poem_openapi::OpenApiService;

use crate::api::{
    document,
    version::{ApiVersion, Surface},
};

pub use resources::Tag;

/// All operations; needs no database.
#[must_use]
pub fn version() -> ApiVersion {
    let service = OpenApiService::new(resources::apis(), "Twofold Client API", "1.0");
    ApiVersion::new(Surface::Client, "v1", document::introduce(service, "For mobile and web apps."))
}
