//! The outside world besides the database: time, randomness, mail.

pub mod clock;
pub mod mailer;
pub mod random;
