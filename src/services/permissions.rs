//! What staff may do: the catalogue, sets of it, and the roles that come with the product.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{FieldError, Result, ServiceError};
use crate::db::roles::Role;

/// Declares [`Permission`], and for each one a type by which a guard asks for it.
macro_rules! catalogue {
    ($(#[doc = $doc:literal] $name:ident = $text:literal;)+) => {
        /// What a member of the staff may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Permission { $(#[doc = $doc] $name),+ }

        impl Permission {
            /// The whole catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As roles and documents name it.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What it is good for, in a line.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => $doc.trim_ascii()),+ }
            }
        }

        $(
            #[doc = $doc]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Need for $name {
                const PERMISSION: Option<Permission> = Some(Permission::$name);
            }
        )+
    };
}

/// What a guard asks for beyond a session of staff.
pub trait Need: Send + Sync + 'static {
    /// `None`: nothing, for what one does with one's own account.
    const PERMISSION: Option<Permission>;
    /// Whether it is open where a second factor is a must, and there is none yet.
    const BEFORE_FACTOR: bool = false;
}

/// One's own account, for which no permission is needed.
#[derive(Debug, Clone, Copy)]
pub struct OwnAccount;

impl Need for OwnAccount {
    const PERMISSION: Option<Permission> = None;
}

/// The setting up of one's own second factor.
#[derive(Debug, Clone, Copy)]
pub struct SecondFactorSetup;

impl Need for SecondFactorSetup {
    const PERMISSION: Option<Permission> = None;
    const BEFORE_FACTOR: bool = true;
}

catalogue! {
    /// Find and read users, with their sessions, factors and notes.
    UsersRead = "users:read";
    /// Create users.
    UsersCreate = "users:create";
    /// Change users, verify their addresses, and write notes about them.
    UsersUpdate = "users:update";
    /// Suspend and reactivate users.
    UsersSuspend = "users:suspend";
    /// Delete users, and restore them.
    UsersDelete = "users:delete";
    /// Export the list of users.
    UsersExport = "users:export";
    /// Look at the product as a user sees it.
    UsersImpersonate = "users:impersonate";
    /// End users' sessions, remove their second factors, and make them choose a new password.
    UsersSecurity = "users:security";
    /// Find and read posts of all users, and reports of them.
    PostsRead = "posts:read";
    /// Hide posts and show them again, and decide about reports.
    PostsModerate = "posts:moderate";
    /// Delete posts for good.
    PostsDelete = "posts:delete";
    /// Read the audit log.
    AuditRead = "audit:read";
    /// Export the audit log.
    AuditExport = "audit:export";
    /// Find and read staff, with their roles and sessions.
    AdminsRead = "admins:read";
    /// Invite staff.
    AdminsInvite = "admins:invite";
    /// Change staff and their roles, deactivate and reactivate them.
    AdminsUpdate = "admins:update";
    /// Delete staff.
    AdminsDelete = "admins:delete";
    /// End sessions of staff, remove their second factors, and make them choose a new password.
    AdminsSecurity = "admins:security";
    /// Read roles, and what can be permitted.
    RolesRead = "roles:read";
    /// Make, change and delete roles.
    RolesWrite = "roles:write";
    /// Read the settings that staff change.
    SettingsRead = "settings:read";
    /// Change settings.
    SettingsWrite = "settings:write";
    /// See the dashboard.
    DashboardRead = "dashboard:read";
    /// Find files of users, look at them, and see who takes how much room.
    FilesRead = "files:read";
    /// Delete files of users.
    FilesDelete = "files:delete";
    /// Upload to the storage with temporary credentials.
    FilesUpload = "files:upload";
    /// Look at the work in the background.
    JobsRead = "jobs:read";
    /// Repeat, cancel, pause and start work in the background.
    JobsWrite = "jobs:write";
    /// Read mails and their templates.
    MailsRead = "mails:read";
    /// Send mails again, and test mails.
    MailsWrite = "mails:write";
    /// Read the logs.
    LogsRead = "logs:read";
}

impl Permission {
    /// The permission of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.text() == text)
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

impl Permissions {
    /// What a super-admin has: more than any list of permissions, because of those that are still to come.
    pub const EVERYTHING: Self = Self(u64::MAX);

    /// These.
    #[must_use]
    pub const fn of(list: &[Permission]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < list.len() {
            bits |= 1 << list[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// What roles give: permissions, and names of shipped roles. Texts that mean nothing (any more) give nothing.
    #[must_use]
    pub fn granted_by<T: AsRef<str>>(grants: &[T]) -> Self {
        let granted = |grant: &T| {
            let of_role = || ShippedRole::named(grant.as_ref()).map(|role| role.permissions);
            Permission::parse(grant.as_ref()).map(|one| Self::of(&[one])).or_else(of_role)
        };
        Self(grants.iter().filter_map(granted).fold(0, |bits, granted| bits | granted.0))
    }

    /// What a role gives.
    #[must_use]
    pub fn of_role(role: &Role) -> Self {
        if role.is_shipped {
            Self::granted_by(&[&role.name])
        } else {
            Self::granted_by(&role.permissions)
        }
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These without those.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    #[must_use]
    pub fn has(self, permission: Permission) -> bool {
        self.0 & Self::of(&[permission]).0 != 0
    }

    /// Makes sure that `permission` is among them.
    ///
    /// # Errors
    /// [`Code::PermissionDenied`](super::Code::PermissionDenied), which names it.
    pub fn require(self, permission: Permission) -> Result<()> {
        if self.has(permission) { Ok(()) } else { Err(denied(&[permission])) }
    }

    /// Makes sure that all of `others` are among them: nobody gives others what they don't have, nor has power
    /// over who has more (security condition 17).
    ///
    /// # Errors
    /// [`Code::PermissionDenied`](super::Code::PermissionDenied), which names what is missing.
    pub fn require_all(self, others: Self) -> Result<()> {
        let missing = others.without(self);
        if missing.0 == 0 { Ok(()) } else { Err(denied(&missing.list())) }
    }

    /// In the order of the catalogue.
    #[must_use]
    pub fn list(self) -> Vec<Permission> {
        Permission::ALL.iter().copied().filter(|permission| self.has(*permission)).collect()
    }

    /// As texts, in the order of the catalogue.
    #[must_use]
    pub fn texts(self) -> Vec<&'static str> {
        self.list().into_iter().map(Permission::text).collect()
    }
}

fn denied(missing: &[Permission]) -> ServiceError {
    let fault = |permission: &Permission| {
        let message = format!("{} is needed", permission.text());
        FieldError::new("permission", permission.text(), message)
    };
    let fields = missing.iter().map(fault).collect();
    ServiceError::denied(fields)
}

/// As [`Permissions::granted_by`] reads it, whichever version of the program wrote it.
impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let grants = if *self == Self::EVERYTHING { vec![SUPER_ADMIN] } else { self.texts() };
        grants.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::granted_by(&Vec::<String>::deserialize(deserializer)?))
    }
}

/// The role that may everything.
pub const SUPER_ADMIN: &str = "super-admin";

/// A role that comes with the product. It is a row like any other, but for what it gives.
#[derive(Debug, Clone, Copy)]
pub struct ShippedRole {
    pub name: &'static str,
    pub permissions: Permissions,
}

use Permission as P;

impl ShippedRole {
    /// Their rows are made by migrations.
    pub const ALL: [Self; 5] = [
        Self { name: SUPER_ADMIN, permissions: Permissions::EVERYTHING },
        Self {
            name: "admin",
            permissions: Permissions::of(&[
                P::UsersRead,
                P::UsersCreate,
                P::UsersUpdate,
                P::UsersSuspend,
                P::UsersDelete,
                P::UsersExport,
                P::UsersImpersonate,
                P::UsersSecurity,
                P::PostsRead,
                P::PostsModerate,
                P::PostsDelete,
                P::AuditRead,
                P::AuditExport,
                P::AdminsRead,
                P::AdminsInvite,
                P::AdminsUpdate,
                P::RolesRead,
                P::SettingsRead,
                P::SettingsWrite,
                P::DashboardRead,
                P::FilesRead,
                P::FilesDelete,
                P::FilesUpload,
                P::JobsRead,
                P::JobsWrite,
                P::MailsRead,
                P::MailsWrite,
                P::LogsRead,
            ]),
        },
        Self {
            name: "support",
            permissions: Permissions::of(&[
                P::UsersRead,
                P::UsersUpdate,
                P::UsersSuspend,
                P::UsersExport,
                P::UsersImpersonate,
                P::UsersSecurity,
                P::PostsRead,
                P::AuditRead,
                P::DashboardRead,
                P::MailsRead,
                P::MailsWrite,
            ]),
        },
        Self {
            name: "moderator",
            permissions: Permissions::of(&[
                P::UsersRead,
                P::UsersSuspend,
                P::PostsRead,
                P::PostsModerate,
                P::DashboardRead,
                P::FilesRead,
                P::FilesDelete,
            ]),
        },
        Self {
            name: "auditor",
            permissions: Permissions::of(&[
                P::UsersRead,
                P::PostsRead,
                P::AuditRead,
                P::AuditExport,
                P::AdminsRead,
                P::RolesRead,
                P::SettingsRead,
                P::DashboardRead,
                P::JobsRead,
                P::MailsRead,
                P::LogsRead,
            ]),
        },
    ];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        const ALL: &[ShippedRole] = &ShippedRole::ALL;
        ALL.iter().find(|role| role.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_super_admin_has_more_than_any_list_and_stays_so_in_the_cache() {
        let all = Permissions::of(Permission::ALL);
        assert!(Permission::ALL.len() < 64, "a bit for each, and one at least for what comes");
        assert!(all.require_all(Permissions::EVERYTHING).is_err());
        assert!(Permissions::EVERYTHING.require_all(all).is_ok());
        for one in [all, Permissions::EVERYTHING, Permissions::default()] {
            let text = serde_json::to_string(&one).expect("written");
            assert_eq!(serde_json::from_str::<Permissions>(&text).expect("read"), one);
        }
        let unknown = serde_json::from_str::<Permissions>(r#"["users:read","users:fly"]"#);
        assert_eq!(unknown.expect("read"), Permissions::of(&[Permission::UsersRead]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let some = Permissions::of(&[Permission::UsersRead]);
        let error = some.require_all(Permissions::of(Permission::ALL)).expect_err("not all");
        assert_eq!(error.fields.len(), Permission::ALL.len() - 1);
        let error = some.require(Permission::JobsRead).expect_err("not this one");
        assert_eq!((error.fields.len(), error.fields[0].rule), (1, "jobs:read"));
        assert!(some.require(Permission::UsersRead).is_ok());
    }

    #[test]
    fn no_permission_has_the_name_of_a_role_and_each_is_described() {
        for permission in Permission::ALL {
            assert!(permission.text().contains(':'), "{permission:?}");
            assert!(permission.description().ends_with('.'), "{permission:?}");
            assert_eq!(Permission::parse(permission.text()), Some(*permission));
        }
        assert!(ShippedRole::ALL.iter().all(|role| !role.name.contains(':')));
    }
}
