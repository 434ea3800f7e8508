//! What is digested of rows and segments. Each field has its length before it, so that no two rows have the same
//! text.

use chrono::{DateTime, Utc};
use ring::{digest, hmac};
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    db::{audit_logs::AuditLog, audit_seals::Segment},
    services::tokens::derive_key,
};

/// The keys of digests: who has the database and not these can't make a change look sealed.
pub struct ChainKeys {
    details: hmac::Key,
    seals: hmac::Key,
}

impl ChainKeys {
    /// Derives them from the secret of what is stored.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let key =
            |kind| hmac::Key::new(hmac::HMAC_SHA256, &derive_key(secret, "twofold-audit", kind));
        Self { details: key("details"), seals: key("seals") }
    }

    /// Of what tells of persons and may be erased. It is keyed: without the key nobody finds out by trying what it
    /// was.
    pub(super) fn details(&self, row: &AuditLog) -> Vec<u8> {
        let mut text = Text::default();
        text.add(row.id.as_bytes());
        for field in [&row.ip_address, &row.user_agent, &row.reason] {
            text.add_option(field.as_deref().map(str::as_bytes));
        }
        for value in [&row.before, &row.after] {
            text.add_option(value.as_ref().map(canonical).as_deref());
        }
        hmac::sign(&self.details, &text.0).as_ref().to_vec()
    }

    /// Of a segment, which comes behind one with the seal `previous`.
    pub(super) fn seal(&self, previous: &[u8], segment: &Segment) -> Vec<u8> {
        let mut text = Text::default();
        text.add(previous);
        text.add(&segment.number.to_be_bytes());
        for time in [segment.last_at, segment.dropped_before] {
            text.add_option(time.map(micros).as_ref().map(<[u8; 8]>::as_slice));
        }
        text.add_option(
            segment.anchor_number.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice),
        );
        text.add_option(segment.anchor_seal.as_deref());
        for ((id, details), leaf) in segment.ids.iter().zip(&segment.details).zip(&segment.leaves) {
            text.add(id.as_bytes());
            text.add(details);
            text.add(leaf);
        }
        hmac::sign(&self.seals, &text.0).as_ref().to_vec()
    }
}

/// Of a row as it stays: its place, what was done, and the digest of its details.
pub(super) fn leaf(id: Uuid, created_at: DateTime<Utc>, row: &AuditLog, details: &[u8]) -> Vec<u8> {
    let mut text = Text::default();
    text.add(id.as_bytes());
    text.add(&micros(created_at));
    text.add(format!("{:?}", row.actor_kind).as_bytes());
    for id in [row.actor_id, row.impersonator_id, row.session_id] {
        text.add_option(id.as_ref().map(|id| id.as_bytes().as_slice()));
    }
    text.add(row.request_id.as_bytes());
    text.add(row.action.as_bytes());
    text.add_option(row.subject_kind.as_deref().map(str::as_bytes));
    text.add_option(row.subject_id.as_deref().map(str::as_bytes));
    text.add(details);
    digest::digest(&digest::SHA256, &text.0).as_ref().to_vec()
}

/// As rows have it: microseconds.
fn micros(time: DateTime<Utc>) -> [u8; 8] {
    time.timestamp_micros().to_be_bytes()
}

/// The same for the same value, in whatever order its fields come.
fn canonical(value: &Value) -> Vec<u8> {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string().into_bytes()
}

#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn add(&mut self, field: &[u8]) {
        self.0.extend((field.len() as u64).to_be_bytes());
        self.0.extend(field);
    }

    /// Nothing is something else than an empty field.
    fn add_option(&mut self, field: Option<&[u8]>) {
        self.0.push(u8::from(field.is_some()));
        self.add(field.unwrap_or_default());
    }
}
