//! What stands around every request.

pub mod edge;
mod path_words;
