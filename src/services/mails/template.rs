//! The mails that the product writes: what each is called, and what stands in for its values when it is shown.

/// A mail that the product writes. Its texts are `templates/<locale>/<name>.txt` and `.html`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    VerifyEmail,
    AlreadyRegistered,
    ResetPassword,
    Welcome,
    Test,
}

impl Template {
    pub const ALL: [Self; 5] = [
        Self::VerifyEmail,
        Self::AlreadyRegistered,
        Self::ResetPassword,
        Self::Welcome,
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
            Self::Test => "test",
        }
    }

    /// Whether who reads the mail can act as its recipient. Nothing of such a mail is kept once it is sent.
    #[must_use]
    pub fn holds_secret(self) -> bool {
        match self {
            Self::VerifyEmail | Self::ResetPassword => true,
            Self::AlreadyRegistered | Self::Welcome | Self::Test => false,
        }
    }

    /// Values to show it with.
    #[must_use]
    pub fn sample(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::VerifyEmail => &[("code", "123456"), ("minutes", "10")],
            Self::ResetPassword => &[
                ("token", "4f1c9be27d0a35b86e92c1d7f0483a5e6b9d2c8f7a1e04b3d5968c7f2e1a0b9d"),
                ("minutes", "30"),
            ],
            Self::Welcome => &[("name", "Ada <Countess> & Co.")],
            Self::AlreadyRegistered | Self::Test => &[],
        }
    }
}
