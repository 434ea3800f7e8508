//! What happens to users, as others may want to know. A service publishes it in its transaction
//! (`core.jobs.publish`); who reacts stands in `jobs::registry`.

use uuid::Uuid;

use super::jobs::Event;

/// Makes an event of a user.
macro_rules! user_event {
    ($(#[$meta:meta])* $name:ident = $text:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            pub user_id: Uuid,
        }

        impl Event for $name {
            const NAME: &'static str = $text;
        }
    };
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
    /// Somebody, most likely the user, wants a new password.
    PasswordResetRequested = "user.password_reset_requested"
}
user_event! {
    /// The user has another password.
    PasswordChanged = "user.password_changed"
}
