//! A user as staff see them.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Enum, Object,
    types::{Email as EmailText, Example},
};
use uuid::Uuid;

use crate::{
    api::types::SearchText,
    db::users::{User, UserStatus},
};

/// Whether a user may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedUserStatus {
    Active,
    Suspended,
    /// Can be restored until the account is erased.
    Deleted,
}

/// A user of the client API.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedUser {
    /// The account's identifier.
    pub id: Uuid,
    /// The address.
    pub email: EmailText,
    /// The person's name; absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// The language to write to the person in (BCP 47); absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub locale: Option<String>,
    /// By whose clock the person lives (IANA); absent when unknown.
    #[oai(skip_serializing_if_is_none)]
    pub time_zone: Option<String>,
    /// Whether the person may act.
    pub status: ManagedUserStatus,
    /// Why the status was last changed.
    #[oai(skip_serializing_if_is_none)]
    pub status_reason: Option<String>,
    /// When the status was last changed.
    #[oai(skip_serializing_if_is_none)]
    pub status_changed_at: Option<DateTime<Utc>>,
    /// The admin who changed it.
    #[oai(skip_serializing_if_is_none)]
    pub status_changed_by: Option<Uuid>,
    /// When a suspended user is reactivated; absent: when somebody does it.
    #[oai(skip_serializing_if_is_none)]
    pub suspended_until: Option<DateTime<Utc>>,
    /// When the account is erased, because the person or staff have deleted it; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    pub deletion_due_at: Option<DateTime<Utc>>,
    /// When the address was verified; absent until then.
    #[oai(skip_serializing_if_is_none)]
    pub email_verified_at: Option<DateTime<Utc>>,
    /// Whether signing in takes a second factor.
    pub has_second_factor: bool,
    /// When the person last signed in.
    #[oai(skip_serializing_if_is_none)]
    pub last_login_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<User> for ManagedUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: EmailText(user.email),
            name: user.name,
            locale: user.locale,
            time_zone: user.time_zone,
            status: user.status.into(),
            status_reason: user.status_reason,
            status_changed_at: user.status_changed_at,
            status_changed_by: user.status_changed_by,
            suspended_until: user.suspended_until,
            deletion_due_at: user.deletion_due_at,
            email_verified_at: user.email_verified_at,
            has_second_factor: user.has_second_factor,
            last_login_at: user.last_login_at,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

impl From<UserStatus> for ManagedUserStatus {
    fn from(status: UserStatus) -> Self {
        match status {
            UserStatus::Active => Self::Active,
            UserStatus::Suspended => Self::Suspended,
            UserStatus::Deleted => Self::Deleted,
        }
    }
}

impl From<ManagedUserStatus> for UserStatus {
    fn from(status: ManagedUserStatus) -> Self {
        match status {
            ManagedUserStatus::Active => Self::Active,
            ManagedUserStatus::Suspended => Self::Suspended,
            ManagedUserStatus::Deleted => Self::Deleted,
        }
    }
}

/// What the examples show as an identifier.
pub(super) fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
pub(super) fn ada() -> Option<SearchText> {
    Some(SearchText("ada".to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
pub(super) fn active() -> Option<ManagedUserStatus> {
    Some(ManagedUserStatus::Active)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
pub(super) fn yes() -> Option<bool> {
    Some(true)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
pub(super) fn a_time() -> Option<DateTime<Utc>> {
    Some(DateTime::UNIX_EPOCH)
}

impl Example for ManagedUser {
    fn example() -> Self {
        Self {
            id: an_id(),
            email: EmailText("ada@example.com".to_owned()),
            name: Some("Ada".to_owned()),
            locale: Some("en-GB".to_owned()),
            time_zone: Some("Europe/London".to_owned()),
            status: ManagedUserStatus::Suspended,
            status_reason: Some("Sends spam to other users.".to_owned()),
            status_changed_at: Some(DateTime::UNIX_EPOCH),
            status_changed_by: Some(an_id()),
            suspended_until: Some(DateTime::UNIX_EPOCH),
            deletion_due_at: Some(DateTime::UNIX_EPOCH),
            email_verified_at: Some(DateTime::UNIX_EPOCH),
            has_second_factor: true,
            last_login_at: Some(DateTime::UNIX_EPOCH),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}
