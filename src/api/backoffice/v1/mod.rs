//! Version 1 of the backoffice API: one file per resource.

pub mod admins;
pub mod audit_logs;
pub mod auth;
mod bulk;
pub mod dashboard;
pub mod files;
pub mod invitations;
pub mod jobs;
pub mod mail_templates;
pub mod mails;
pub mod posts;
pub mod queues;
pub mod recovery;
pub mod reports;
mod resources;
pub mod roles;
pub mod schedules;
pub mod second_factor;
pub mod settings;
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
    let service = OpenApiService::new(resources::apis(), "Twofold Backoffice API", "1.0");
    ApiVersion::new(Surface::Backoffice, "v1", document::introduce(service, "For admin staff."))
}
