//! Which words posts have: what the beginning of a word stands for.

use chrono::TimeDelta;

use super::super::{Core, Result};
use crate::db::words;

/// Counts the words of up to `limit` posts that were published or changed, and returns of how many.
///
/// # Errors
/// When the database fails.
pub async fn count(core: &Core, limit: i64) -> Result<i64> {
    let now = core.clock.now();
    Ok(words::count(&mut *core.db.conn().await?, limit, now).await?)
}

/// Forgets, of up to `limit` words that have not been counted for 30 days, those that no published post has any more, and
/// returns how many were looked at. So nothing is left of what somebody has written once and had erased.
///
/// # Errors
/// When the database fails.
pub async fn forget(core: &Core, limit: i64) -> Result<i64> {
    let now = core.clock.now();
    let before = now - TimeDelta::days(30);
    Ok(words::forget(&mut *core.db.conn().await?, limit, before, now).await?)
}
