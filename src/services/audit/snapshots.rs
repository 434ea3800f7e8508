//! What the log keeps of things that change: named here field by field, so that nothing secret gets there by
//! being added to a row.

use serde_json::{Map, Value, json};

use crate::db::{
    admins::{Admin, Member},
    files::File,
    invitations::{Invitation, Invited},
    jobs::Job,
    mails::MailRecord,
    post_comments::PostComment,
    post_reports::PostReport,
    posts::Post,
    roles::{Role, RoleNames},
    user_sessions::Impersonation,
    users::User,
};

/// Something of which the log keeps what it was and what it is.
pub trait Snapshot {
    /// No secret, neither in the open nor hashed.
    fn snapshot(&self) -> Map<String, Value>;
}

/// Lists fields that are kept as they are.
macro_rules! snapshot {
    ($type:ty: $($field:ident),+) => {
        impl Snapshot for $type {
            fn snapshot(&self) -> Map<String, Value> {
                let fields = [$((stringify!($field), json!(self.$field))),+];
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }
        }
    };
}

snapshot!(User: email, name, locale, time_zone, email_verified_at, status, suspended_until, deletion_due_at);
// Nothing of what was written or by whom: an author can be erased.
snapshot!(Post: state, published_at);
snapshot!(PostComment: id);
snapshot!(PostReport: state);
snapshot!(Admin: email, name, status);
snapshot!(Invitation: email, name, status, expires_at);
snapshot!(Role: name, description, permissions);
snapshot!(File: id, name, content_type, size, purpose, state);
snapshot!(Job: kind, queue, state);
snapshot!(Impersonation: session_id, impersonator_id, expires_at);
snapshot!(MailRecord: template, user_id, resend_of);

impl Snapshot for Member {
    fn snapshot(&self) -> Map<String, Value> {
        with_roles(self.admin.snapshot(), &self.roles)
    }
}

impl Snapshot for Invited {
    fn snapshot(&self) -> Map<String, Value> {
        with_roles(self.invitation.snapshot(), &self.roles)
    }
}

fn with_roles(mut fields: Map<String, Value>, roles: &RoleNames) -> Map<String, Value> {
    let names: Vec<&str> = roles.0.iter().map(|role| role.name.as_str()).collect();
    fields.insert("roles".to_owned(), json!(names));
    fields
}
