//! The outside world besides the database: time, randomness, caches, mail, storage, the kernel.

pub mod cache;
pub mod clock;
pub mod limiter;
pub mod mailer;
pub mod memory;
pub mod pictures;
pub mod random;
pub mod redis;
pub mod scheduling;
pub mod short_name;
pub mod storage;
