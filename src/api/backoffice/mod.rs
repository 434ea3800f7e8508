//! The backoffice API, by version.

pub mod v1;
