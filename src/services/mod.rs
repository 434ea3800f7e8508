//! Business rules, authorization and transaction boundaries. Nothing here knows of HTTP.

pub mod accounts;
pub mod cursors;
pub mod demo;
pub mod email_address;
pub mod error;
pub mod expected;
pub mod health;
pub mod idempotency;
pub mod mails;
pub mod one_time_codes;
pub mod passwords;
pub mod sessions;
pub mod staff;
pub mod staff_pages;
pub mod tokens;
pub mod users;

use crate::{
    adapters::{clock::Clock, random::Random, storage::Storage},
    db::Db,
};

pub use error::{Code, FieldError, Kind, ServiceError};
pub use expected::Expected;

/// The outcome of a service function.
pub type Result<T, E = ServiceError> = std::result::Result<T, E>;

/// What the services work with; made once, in `bootstrap`.
pub struct Core {
    pub db: Db,
    pub clock: Clock,
    pub random: Random,
    pub passwords: passwords::Passwords,
    pub code_key: one_time_codes::CodeKey,
    pub cursors: cursors::CursorKey,
    pub client_sessions: sessions::Sessions,
    pub staff_sessions: sessions::Sessions,
    pub mails: mails::Mails,
    pub idempotency: idempotency::Idempotency,
    /// `None` where none is configured.
    pub storage: Option<Storage>,
    pub health: health::Health,
}
