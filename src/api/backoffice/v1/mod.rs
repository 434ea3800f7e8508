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
pub mod roles;
pub mod schedules;
pub mod second_factor;
pub mod settings;
pub mod users;

use poem_openapi::{OpenApiService, Tags};

use crate::api::{
    document,
    version::{ApiVersion, Surface},
};

/// The parts of the document.
#[derive(Tags)]
pub enum Tag {
    /// Sign-in of the staff.
    Auth,
    /// The users of the client API.
    Users,
    /// What users write, and what other users hold against it.
    Posts,
    /// Staff, and who is to become staff.
    Staff,
    /// What staff may do.
    Roles,
    /// Files of users, and what is in the storage.
    Files,
    /// Work in the background: jobs, their queues, and schedules.
    Jobs,
    /// Mails that were written, and what became of them.
    Mails,
    /// What was done, by whom and to what.
    Audit,
    /// What staff set while the service runs.
    Settings,
    /// How things go over time.
    Dashboard,
}

/// All operations; needs no database.
#[must_use]
pub fn version() -> ApiVersion {
    let api = (
        (
            auth::AuthApi,
            second_factor::SecondFactorApi,
            recovery::RecoveryApi,
            admins::AdminsApi,
            invitations::InvitationsApi,
            roles::RolesApi,
        ),
        (users::UsersApi, users::UserStatusApi, users::UserSecurityApi),
        (users::UserNotesApi, users::UsersBulkApi, users::UsersExportApi),
        users::ImpersonationApi,
        (posts::PostsApi, posts::ModerationApi, posts::PostsBulkApi, posts::CommentsApi),
        reports::ReportsApi,
        files::ManagedFilesApi,
        (jobs::JobsApi, queues::QueuesApi, schedules::SchedulesApi),
        (mail_templates::MailTemplatesApi, mails::MailsApi),
        (audit_logs::AuditLogsApi, settings::SettingsApi, dashboard::DashboardApi),
    );
    let service = OpenApiService::new(api, "Twofold Backoffice API", "1.0");
    ApiVersion::new(Surface::Backoffice, "v1", document::introduce(service, "For admin staff."))
}
