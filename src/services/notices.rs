//! What users are told of their own account, by mail and within the apps, so that they learn what somebody
//! else has done with it (ASVS 5.0, 6.3.5 and 6.3.7).

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Core, Result, ServiceError,
    events::FactorChange,
    jobs::Job,
    mails::{Request, Template, locale_of},
};
use crate::db::{
    Origin,
    notifications::{self, NewNotification},
    user_sessions::{self, UserSession},
    users::{self, User},
};

/// Something that a user should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Notice {
    NewDevice {
        session_id: Uuid,
    },
    PasswordChanged,
    /// Its mail goes to the old address: whoever has taken the account over has the new one.
    EmailChanged {
        old_email: String,
    },
    SecondFactorEnabled,
    SecondFactorDisabled,
    RecoveryCodesRenewed,
    RefreshTokenReused {
        session_id: Uuid,
    },
    DeletionRequested,
    DeletionCancelled,
    PostHidden {
        post_id: Uuid,
        title: String,
        reason: String,
    },
    PostRestored {
        post_id: Uuid,
        title: String,
    },
    PostErased {
        title: String,
        reason: String,
    },
}

impl From<FactorChange> for Notice {
    fn from(change: FactorChange) -> Self {
        match change {
            FactorChange::Enabled => Self::SecondFactorEnabled,
            FactorChange::Disabled => Self::SecondFactorDisabled,
            FactorChange::RecoveryCodesRenewed => Self::RecoveryCodesRenewed,
        }
    }
}

impl Notice {
    /// As the apps know it: never changed.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NewDevice { .. } => "new_device",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged { .. } => "email_changed",
            Self::SecondFactorEnabled => "second_factor_enabled",
            Self::SecondFactorDisabled => "second_factor_disabled",
            Self::RecoveryCodesRenewed => "recovery_codes_renewed",
            Self::RefreshTokenReused { .. } => "refresh_token_reused",
            Self::DeletionRequested => "deletion_requested",
            Self::DeletionCancelled => "deletion_cancelled",
            Self::PostHidden { .. } => "post_hidden",
            Self::PostRestored { .. } => "post_restored",
            Self::PostErased { .. } => "post_erased",
        }
    }

    /// As which mail it is told.
    pub(super) fn template(&self) -> Template {
        match self {
            Self::NewDevice { .. } => Template::NewDevice,
            Self::PasswordChanged => Template::PasswordChanged,
            Self::EmailChanged { .. } => Template::EmailChanged,
            Self::SecondFactorEnabled => Template::SecondFactorEnabled,
            Self::SecondFactorDisabled => Template::SecondFactorDisabled,
            Self::RecoveryCodesRenewed => Template::RecoveryCodesRenewed,
            Self::RefreshTokenReused { .. } => Template::RefreshTokenReused,
            Self::DeletionRequested => Template::DeletionRequested,
            Self::DeletionCancelled => Template::DeletionCancelled,
            Self::PostHidden { .. } => Template::PostHidden,
            Self::PostRestored { .. } => Template::PostRestored,
            Self::PostErased { .. } => Template::PostErased,
        }
    }

    /// What it says of a post.
    fn of_post(&self) -> Details {
        let (post_id, post_title, reason) = match self {
            Self::PostHidden { post_id, title, reason } => {
                (Some(*post_id), Some(title), Some(reason))
            }
            Self::PostRestored { post_id, title } => (Some(*post_id), Some(title), None),
            Self::PostErased { title, reason } => (None, Some(title), Some(reason)),
            _ => (None, None, None),
        };
        let (post_title, reason) = (post_title.cloned(), reason.cloned());
        Details { post_id, post_title, reason, ..Details::default() }
    }

    fn session_id(&self) -> Option<Uuid> {
        match self {
            Self::NewDevice { session_id } | Self::RefreshTokenReused { session_id } => {
                Some(*session_id)
            }
            _ => None,
        }
    }

    fn recipient<'a>(&'a self, user: &'a User) -> &'a str {
        match self {
            Self::EmailChanged { old_email } => old_email,
            _ => &user.email,
        }
    }
}

/// Tells a user something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notify {
    pub user_id: Uuid,
    #[serde(flatten)]
    pub notice: Notice,
}

impl Job for Notify {
    const KIND: &'static str = "user.notify";
}

/// Tells a user something, by mail and within the apps; nobody who has been deleted. Done again with the same
/// `id`, it has one effect.
///
/// # Errors
/// When the database fails.
pub async fn notify(core: &Core, origin: &Origin, id: Uuid, what: &Notify) -> Result<()> {
    let Notify { user_id, notice } = what;
    let mut tx = core.db.begin(origin).await?;
    let now = tx.now;
    let Some(user) = users::find(&mut tx, *user_id).await? else { return Ok(()) };
    let session = match notice.session_id() {
        Some(session_id) => user_sessions::find(&mut tx, user.id, session_id).await?,
        None => None,
    };
    let details = session.as_ref().map_or_else(|| notice.of_post(), Details::from);
    let data = serde_json::to_value(&details).map_err(ServiceError::internal)?;
    let new = NewNotification { id, user_id: user.id, kind: notice.kind(), data, now };
    notifications::insert(&mut tx, new).await?;
    let request = Request {
        recipient: notice.recipient(&user),
        user_id: Some(user.id),
        template: notice.template(),
        locale: locale_of(&user),
        values: values(&user, session.as_ref(), &details),
    };
    core.mails.queue_once(core, &mut tx, id, request).await?;
    Ok(tx.commit().await?)
}

/// More of a notification, by its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The session that it is about, and from where that was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The post that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_title: Option<String>,
    /// Why staff did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<&UserSession> for Details {
    fn from(session: &UserSession) -> Self {
        Self {
            session_id: Some(session.id),
            device_name: session.device_name.clone(),
            user_agent: session.user_agent.clone(),
            ip_address: session.ip_address.clone(),
            ..Self::default()
        }
    }
}

/// What the templates are told; each takes what it needs.
fn values(user: &User, session: Option<&UserSession>, details: &Details) -> Value {
    let device = session.and_then(|one| one.device_name.as_ref().or(one.user_agent.as_ref()));
    context! {
        device,
        ip_address => session.and_then(|one| one.ip_address.as_ref()),
        time => session.map(|one| local_time(one.created_at, user)),
        title => &details.post_title,
        reason => &details.reason,
        due => user.deletion_due_at.map(|due| local_time(due, user)),
    }
}

/// A time as the user's clock shows it.
fn local_time(time: DateTime<Utc>, user: &User) -> String {
    let zone: Option<Tz> = user.time_zone.as_ref().and_then(|name| name.parse().ok());
    let name = zone.map_or(Cow::from("UTC"), |zone| Cow::from(zone.name()));
    format!("{} ({name})", time.with_timezone(&zone.unwrap_or(Tz::UTC)).format("%Y-%m-%d %H:%M"))
}
