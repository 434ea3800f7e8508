//! What runs beside the answering of requests, or without any.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{Database, worker};
use crate::{
    config::Settings,
    jobs::{self, Registry},
    services::Core,
};

/// Runs until it is told to stop, or dropped.
pub struct Background {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// What the others use to their end.
    connections: JoinSet<()>,
}

impl Background {
    /// Tells the workers of other processes of jobs that are stored here, and keeps the connection to Redis.
    #[must_use]
    pub fn start(database: &Database, core: &Core) -> Self {
        jobs::metrics::watch(core);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(jobs::tell(core.jobs.waker.clone(), database.direct_url.clone(), stopped));
        let mut connections = JoinSet::new();
        if let Some(redis) = &core.redis {
            connections.spawn(redis.clone().keep());
        }
        Self { stop, tasks, connections }
    }

    /// Works on jobs as well.
    pub fn work(
        &mut self,
        settings: &Settings,
        database: &Database,
        core: &Core,
        registry: Registry,
    ) {
        let stopped = self.stop.subscribe();
        let worker = worker(settings, database, core, Arc::new(registry));
        self.tasks.spawn(worker.run(stopped.clone()));
        let (waker, url) = (core.jobs.waker.clone(), database.direct_url.clone());
        self.tasks.spawn(jobs::listen(waker, url, stopped));
    }

    /// Lets what runs end, for a while after the time that jobs have for it.
    pub async fn stop(mut self, settings: &Settings) {
        /// To say what has ended, and to give the rest back.
        const TO_NOTE: Duration = Duration::from_secs(5);
        let _ = self.stop.send(true);
        let limit = Duration::from_millis(settings.server.drain_timeout_ms) + TO_NOTE;
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(limit, all).await;
        self.connections.shutdown().await;
    }
}
