//! What the product brings along for a machine that has nothing set up.

pub mod child;
pub mod dirs;
pub mod postgres;
pub mod storage;
