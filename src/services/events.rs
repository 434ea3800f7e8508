//! What happens to users, as others may want to know. A service publishes it in its transaction
//! (`core.jobs.publish`); who reacts stands in `jobs::registry`.

use uuid::Uuid;

use super::jobs::Event;

/// Makes an event of a user.
macro_rules! user_event {
    ($(#[$meta:meta])* $name:ident $({ $($field:ident: $type:ty),+ })? = $text:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            pub user_id: Uuid,
            $($(pub $field: $type),+)?
        }

        impl Event for $name {
            const NAME: &'static str = $text;
        }
    };
}

/// What has become of a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorChange {
    Enabled,
    Disabled,
    RecoveryCodesRenewed,
}

user_event! {
    /// Somebody has registered an address, which may not be theirs: nobody has verified it yet.
    UserRegistered = "user.registered"
}
user_event! {
    /// A user has shown that the address is theirs: the account can be used.
    UserVerified = "user.verified"
}
user_event! {
    /// The user has another password.
    PasswordChanged = "user.password_changed"
}
user_event! {
    /// The user has another address.
    EmailChanged { old_email: String } = "user.email_changed"
}
user_event! {
    /// The user has another second factor, or other recovery codes.
    SecondFactorChanged { change: FactorChange } = "user.second_factor_changed"
}
user_event! {
    /// The account was signed in to from a device that it doesn't know, and not for the first time.
    NewDeviceSignedIn { session_id: Uuid } = "user.new_device_signed_in"
}
user_event! {
    /// A refresh token was used again, which may be stolen: the session has ended.
    RefreshTokenReused { session_id: Uuid } = "user.refresh_token_reused"
}
user_event! {
    /// The user wants to be deleted; there is time to think better of it.
    DeletionRequested = "user.deletion_requested"
}
user_event! {
    /// The user stays.
    DeletionCancelled = "user.deletion_cancelled"
}
user_event! {
    /// The user is no more, nor is anything that the product keeps of them. Who keeps more deletes it.
    UserErased = "user.erased"
}
