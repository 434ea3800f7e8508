//! The public client API, by version.

pub mod v1;
