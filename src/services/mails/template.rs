//! The mails that the product writes: what each is called, and what stands in for its values when it is shown.

/// A mail that the product writes. Its texts are `templates/<locale>/<name>.txt` and `.html`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    VerifyEmail,
    AlreadyRegistered,
    ResetPassword,
    Welcome,
    Invitation,
    ChangeEmail,
    NewDevice,
    PasswordChanged,
    EmailChanged,
    SecondFactorEnabled,
    SecondFactorDisabled,
    RecoveryCodesRenewed,
    RefreshTokenReused,
    DeletionRequested,
    DeletionCancelled,
    PostHidden,
    PostRestored,
    PostErased,
    Test,
}

impl Template {
    pub const ALL: [Self; 19] = [
        Self::VerifyEmail,
        Self::AlreadyRegistered,
        Self::ResetPassword,
        Self::Welcome,
        Self::Invitation,
        Self::ChangeEmail,
        Self::NewDevice,
        Self::PasswordChanged,
        Self::EmailChanged,
        Self::SecondFactorEnabled,
        Self::SecondFactorDisabled,
        Self::RecoveryCodesRenewed,
        Self::RefreshTokenReused,
        Self::DeletionRequested,
        Self::DeletionCancelled,
        Self::PostHidden,
        Self::PostRestored,
        Self::PostErased,
        Self::Test,
    ];

    /// The template of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.name() == name)
    }

    /// As its files are called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::AlreadyRegistered => "already_registered",
            Self::ResetPassword => "reset_password",
            Self::Welcome => "welcome",
            Self::Invitation => "invitation",
            Self::ChangeEmail => "change_email",
            Self::NewDevice => "new_device",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::SecondFactorEnabled => "second_factor_enabled",
            Self::SecondFactorDisabled => "second_factor_disabled",
            Self::RecoveryCodesRenewed => "recovery_codes_renewed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::DeletionRequested => "deletion_requested",
            Self::DeletionCancelled => "deletion_cancelled",
            Self::PostHidden => "post_hidden",
            Self::PostRestored => "post_restored",
            Self::PostErased => "post_erased",
            Self::Test => "test",
        }
    }

    /// Whether who reads the mail can act as its recipient. Nothing of such a mail is kept once it is sent.
    #[must_use]
    pub fn holds_secret(self) -> bool {
        matches!(
            self,
            Self::VerifyEmail | Self::ResetPassword | Self::ChangeEmail | Self::Invitation
        )
    }

    /// Values to show it with.
    #[must_use]
    pub fn sample(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => &[("code", "123456"), ("minutes", "10")],
            Self::ResetPassword => &[
                ("token", "4f1c9be27d0a35b86e92c1d7f0483a5e6b9d2c8f7a1e04b3d5968c7f2e1a0b9d"),
                ("minutes", "30"),
            ],
            Self::Welcome => &[("name", "Ada <Countess> & Co.")],
            Self::Invitation => &[
                ("name", "Ada <Countess> & Co."),
                (
                    "link",
                    "https://api.example.com/backoffice/invitation?token=4f1c9be27d0a35b86e92c1d7f0483a5e6b9d2c8f7a1e04b3d5968c7f2e1a0b9d",
                ),
                ("until", "2026-12-06 14:05 (UTC)"),
            ],
            Self::NewDevice => &[
                ("device", "Shop on a phone"),
                ("ip_address", "203.0.113.7"),
                ("time", "2026-11-29 14:05 (Europe/Berlin)"),
            ],
            Self::RefreshTokenReused => &[("device", "Shop on a phone")],
            Self::DeletionRequested => &[("due", "2026-12-29 14:05 (Europe/Berlin)")],
            Self::PostHidden | Self::PostErased => &[
                ("title", "On <Engines> & Co."),
                ("reason", "It names people who have not agreed."),
            ],
            Self::PostRestored => &[("title", "On <Engines> & Co.")],
            Self::AlreadyRegistered
            | Self::PasswordChanged
            | Self::EmailChanged
            | Self::SecondFactorEnabled
            | Self::SecondFactorDisabled
            | Self::RecoveryCodesRenewed
            | Self::DeletionCancelled
            | Self::Test => &[],
        }
    }
}
