//! Which words posts have: what the beginning of a word stands for.

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
