//! Sees to the ticks of schedules.
//!
//! Of all processes that see a tick coming, one sees to it: whoever moves the schedule's row on stores the
//! job in the same transaction. Nobody leads, so nobody's death matters.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{sync::watch, time::sleep};

use crate::{
    db::{Origin, jobs::schedules},
    services::{
        Core, Result,
        jobs::{Schedule, control},
    },
    telemetry::Chain,
};

/// How often it is looked for ticks.
const LOOK: Duration = Duration::from_millis(500);

/// Sees to the ticks of all schedules, until `stop`.
pub async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut is_ensured = false;
    while !*stop.borrow() {
        match look(&core, &mut is_ensured).await {
            // Another tick may be due already.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!("schedules are waiting: {}", Chain(&error)),
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Sees to at most one tick of each schedule: whether there was any.
async fn look(core: &Core, is_ensured: &mut bool) -> Result<bool> {
    let (now, all) = (core.clock.now(), &core.jobs.schedules);
    let rows = {
        let mut conn = core.db.conn().await?;
        if !*is_ensured {
            let names: Vec<&str> = all.iter().map(|schedule| schedule.name).collect();
            schedules::ensure(&mut conn, &names, now).await?;
            *is_ensured = true;
        }
        schedules::list(&mut conn).await?
    };
    let mut any = false;
    for row in rows.iter().filter(|row| row.is_enabled) {
        let Some(schedule) = all.iter().find(|one| one.name == row.name) else { continue };
        if let Some(tick) = schedule.due(row.last_tick, now) {
            any |= see_to(core, schedule, row.last_tick, tick).await?;
        }
    }
    Ok(any)
}

async fn see_to(
    core: &Core,
    schedule: &Schedule,
    before: DateTime<Utc>,
    tick: DateTime<Utc>,
) -> Result<bool> {
    let mut tx = core.db.begin(&Origin::system(schedule.name)).await?;
    let now = tx.now;
    if !schedules::tick(&mut tx, schedule.name, before, tick, now).await? {
        return Ok(false);
    }
    control::store_scheduled(core, &mut tx, schedule).await?;
    tx.commit().await?;
    Ok(true)
}
