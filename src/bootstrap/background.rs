//! What runs beside the answering of requests, or without any.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{Database, worker};
use crate::{
    config::Settings,
    jobs::{self, Registry},
    services::{Core, tallies},
    telemetry::Chain,
};

/// Runs until it is told to stop, or dropped.
pub struct Background {
    core: Arc<Core>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// What the others use to their end.
    connections: JoinSet<()>,
}

impl Background {
    /// Keeps the connections to other processes and to Redis, and stores what is counted.
    #[must_use]
    pub fn start(database: &Database, core: &Core) -> Self {
        jobs::metrics::watch(core);
        let mut connections = JoinSet::new();
        connections.spawn(core.bus.clone().run(database.direct_url.clone()));
        connections.spawn(core.live_settings.clone().follow(database.direct_url.clone()));
        if let Some(redis) = &core.redis {
            connections.spawn(redis.clone().keep());
        }
        let (stop, mut tasks) = (watch::Sender::new(false), JoinSet::new());
        tasks.spawn(tallies::run(core.clone(), stop.subscribe()));
        Self { core: Arc::new(core.clone()), stop, tasks, connections }
    }

    /// Works on jobs as well.
    pub fn work(
        &mut self,
        settings: &Settings,
        database: &Database,
        core: &Core,
        registry: Registry,
    ) {
        let worker = worker(settings, database, core, Arc::new(registry));
        self.tasks.spawn(worker.run(self.stop.subscribe()));
    }

    /// Lets what runs end, for a while after the time that jobs have for it.
    pub async fn stop(mut self, settings: &Settings) {
        /// To say what has ended, and to give the rest back.
        const TO_NOTE: Duration = Duration::from_secs(5);
        let _ = self.stop.send(true);
        let limit = Duration::from_millis(settings.server.drain_timeout_ms) + TO_NOTE;
        let all = async {
            while self.tasks.join_next().await.is_some() {}
            // Nothing is counted any more.
            if let Err(error) = self.core.tallies.store(&self.core).await {
                tracing::warn!("what was counted last is lost: {}", Chain(&error));
            }
        };
        let _ = timeout(limit, all).await;
        self.connections.shutdown().await;
    }
}
