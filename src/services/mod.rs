//! Business rules, authorization and transaction boundaries. Nothing here knows of HTTP.

pub mod accounts;
pub mod admin_sessions;
pub mod audit;
pub mod bulk;
pub mod cache;
pub mod change_email;
pub mod cursors;
pub mod dashboard;
pub mod deletion;
pub mod demo;
pub mod devices;
pub mod email_address;
pub mod error;
pub mod events;
pub mod expected;
pub mod export;
pub mod files;
pub mod health;
pub mod idempotency;
pub mod impersonation;
pub mod invitations;
pub mod jobs;
pub mod limits;
pub mod live_settings;
pub mod mailed_answers;
pub mod mails;
pub mod markdown;
pub mod noted;
pub mod notices;
pub mod notifications;
pub mod one_time_codes;
pub mod own_sessions;
pub mod passwords;
pub mod permissions;
pub mod posts;
pub mod reactions;
pub mod reports;
pub mod roles;
mod sealing;
pub mod second_factor;
pub mod session_check;
pub mod sessions;
pub mod sign_in;
pub mod staff;
pub mod staff_accounts;
mod staff_notices;
pub mod staff_pages;
pub mod staff_recovery;
pub mod staff_sign_in;
pub mod tallies;
pub mod tokens;
pub mod users;

use std::sync::Arc;

use chrono::TimeDelta;

use crate::{
    adapters::{clock::Clock, random::Random, redis::Kept, storage::Storage},
    db::{
        Bus, Db,
        sessions::{Account, Realm},
    },
    telemetry::metrics::Metrics,
};

pub use error::{Code, FieldError, Kind, ServiceError};
pub use expected::Expected;

/// The outcome of a service function.
pub type Result<T, E = ServiceError> = std::result::Result<T, E>;

/// What the services work with; made once, in `bootstrap`. Clones share everything.
#[derive(Clone)]
pub struct Core {
    pub db: Db,
    pub bus: Bus,
    pub clock: Clock,
    pub random: Random,
    pub passwords: Arc<passwords::Passwords>,
    /// How long a user may take a deletion back.
    pub deletion_grace: TimeDelta,
    pub impersonation: impersonation::Impersonation,
    pub invitations: invitations::Invitations,
    pub limits: Arc<limits::Limits>,
    pub code_key: Arc<one_time_codes::CodeKey>,
    pub second_factors: Arc<second_factor::SecondFactors>,
    pub staff_second_factors: Arc<second_factor::SecondFactors>,
    /// Whether staff can do nothing before they have a second factor.
    pub staff_factor_required: bool,
    pub cursors: Arc<cursors::CursorKey>,
    pub cache: Arc<cache::Cache>,
    pub client_sessions: Arc<sessions::Sessions>,
    pub staff_sessions: Arc<sessions::Sessions>,
    pub jobs: Arc<jobs::Jobs>,
    pub mails: Arc<mails::Mails>,
    pub idempotency: Arc<idempotency::Idempotency>,
    /// `None` where none is configured.
    pub storage: Option<Storage>,
    pub files: Arc<files::Files>,
    /// `None` where none is configured.
    pub redis: Option<Kept>,
    pub audit: Arc<audit::Audit>,
    pub live_settings: Arc<live_settings::LiveSettings>,
    pub tallies: Arc<tallies::Tallies>,
    pub health: Arc<health::Health>,
    pub metrics: Metrics,
}

impl Core {
    /// The sessions of a realm.
    fn sessions(&self, realm: Realm) -> &sessions::Sessions {
        match realm {
            Realm::Client => &self.client_sessions,
            Realm::Backoffice => &self.staff_sessions,
        }
    }

    /// The keys of an account's second factor.
    fn factors(&self, account: Account) -> &second_factor::SecondFactors {
        match account.realm() {
            Realm::Client => &self.second_factors,
            Realm::Backoffice => &self.staff_second_factors,
        }
    }
}
