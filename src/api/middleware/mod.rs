//! What every request passes through, each in a layer of its own; `api/mod.rs` has their order.

pub mod edge;
pub mod failures;
pub mod host;
pub mod idempotency;
pub mod limits;
pub mod overload;
mod path_words;
