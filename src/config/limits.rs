//! The section `limits`.

use serde::Deserialize;

/// How often credentials may be tried.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub password: Tries,
    pub registration: Tries,
    pub recovery: Tries,
    pub code: Tries,
    pub refresh: Tries,
}

/// How often one kind of credential may be tried.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tries {
    pub per_client: u32,
    pub per_account: u32,
    pub period_seconds: u32,
}
