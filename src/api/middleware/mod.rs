//! What stands around every request.

pub mod edge;
