//! The resources of this version, a line each.

crate::api::resources::resources! {
    Auth = "Sign-in of the staff.": auth::AuthApi, second_factor::SecondFactorApi, recovery::RecoveryApi;
    Users = "The users of the client API.": users::UsersApi, users::UserStatusApi, users::UserSecurityApi,
        users::UserNotesApi, users::UsersBulkApi, users::UsersExportApi, users::ImpersonationApi;
    Posts = "What users write, and what other users hold against it.": posts::PostsApi, posts::ModerationApi,
        posts::PostsBulkApi, posts::CommentsApi, reports::ReportsApi;
    Staff = "Staff, and who is to become staff.": admins::AdminsApi, invitations::InvitationsApi;
    Roles = "What staff may do.": roles::RolesApi;
    Files = "Files of users, and what is in the storage.": files::ManagedFilesApi;
    Jobs = "Work in the background: jobs, their queues, and schedules.": jobs::JobsApi, queues::QueuesApi,
        schedules::SchedulesApi;
    Mails = "Mails that were written, and what became of them.": mail_templates::MailTemplatesApi, mails::MailsApi;
    Audit = "What was done, by whom and to what.": audit_logs::AuditLogsApi;
    Settings = "What staff set while the service runs.": settings::SettingsApi;
    Dashboard = "How things go over time.": dashboard::DashboardApi;
}
