//! Seals the log after the commit, and lets go of what is too old.
//!
//! Rows that wait to be sealed are in `audit_unsealed`, put there in their own transaction; whoever seals takes
//! those that are committed by then. So a transaction that takes long is not left out: its rows are in a later
//! segment. A segment holds which rows it has, so none can be taken out, and a digest of each.

use chrono::Months;

use super::chain;
use crate::{
    db::{
        Origin, Tx,
        audit_logs::AuditLog,
        audit_seals::{self, Segment},
    },
    services::{Core, Result},
};

/// Seals up to `limit` rows that wait for it, and returns how many.
///
/// # Errors
/// When the database fails, or another process seals at the same time.
pub async fn seal(core: &Core, origin: &Origin, limit: i64) -> Result<usize> {
    let mut tx = core.db.begin(origin).await?;
    let rows = audit_seals::take_unsealed(&mut tx, limit).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let keys = &core.audit.keys;
    let details: Vec<Vec<u8>> = rows.iter().map(|row| keys.details(row)).collect();
    let leaf =
        |(row, details): (&AuditLog, &Vec<u8>)| chain::leaf(row.id, row.created_at, row, details);
    let segment = Segment {
        number: 0,
        ids: rows.iter().map(|row| row.id).collect(),
        leaves: rows.iter().zip(&details).map(leaf).collect(),
        details,
        last_at: rows.last().map(|row| row.created_at),
        dropped_before: None,
        anchor_number: None,
        anchor_seal: None,
        seal: Vec::new(),
    };
    let head = audit_seals::head(&mut tx).await?.unwrap_or_default();
    append(core, &mut tx, head, segment).await?;
    tx.commit().await?;
    Ok(rows.len())
}

/// Puts a segment behind the one of this number and seal.
async fn append(
    core: &Core,
    tx: &mut Tx,
    (number, previous): (i64, Vec<u8>),
    segment: Segment,
) -> Result<()> {
    let now = tx.now;
    let mut segment = Segment { number: number + 1, ..segment };
    segment.seal = core.audit.keys.seal(&previous, &segment);
    Ok(audit_seals::insert(tx, &segment, now).await?)
}

/// Drops the months that are kept no longer; whether there were any. What the chain begins with then is sealed
/// itself.
///
/// # Errors
/// When the database fails, or rows of those months are not sealed.
pub async fn drop_old(core: &Core, origin: &Origin) -> Result<bool> {
    let mut tx = core.db.begin(origin).await?;
    let Some(before) = tx.now.checked_sub_months(Months::new(core.audit.months_kept)) else {
        return Ok(false);
    };
    let head = audit_seals::head(&mut tx).await?.unwrap_or_default();
    let Some(dropped) = audit_seals::drop_before(&mut tx, before).await? else { return Ok(false) };
    let mark = Segment {
        number: 0,
        ids: Vec::new(),
        details: Vec::new(),
        leaves: Vec::new(),
        last_at: None,
        dropped_before: Some(dropped.dropped_before),
        anchor_number: Some(dropped.anchor_number),
        anchor_seal: Some(dropped.anchor_seal),
        seal: Vec::new(),
    };
    append(core, &mut tx, head, mark).await?;
    tx.commit().await?;
    tracing::info!("the audit log begins at {} now", dropped.dropped_before);
    Ok(true)
}
