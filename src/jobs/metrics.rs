//! How the queues do, for Prometheus: the numbers that staff see.

use std::sync::atomic::AtomicU64;

use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};

use crate::{
    services::{
        Core,
        jobs::control::{self, Overview},
    },
    telemetry::Chain,
};

/// What is counted of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    queue: String,
    state: &'static str,
}

/// Of which times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Quantile {
    queue: String,
    quantile: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: String,
}

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Default)]
struct Gauges {
    jobs: Family<Of, Gauge>,
    ended: Family<Of, Gauge>,
    oldest: Family<Queue, Seconds>,
    wait: Family<Quantile, Seconds>,
    run: Family<Quantile, Seconds>,
    workers: Gauge,
}

/// Shows how the queues do, over all processes, whenever the metrics are read.
pub fn watch(core: &Core) {
    let gauges = Gauges::default();
    let metrics = &core.metrics;
    metrics.register("twofold_jobs", "Jobs that have not ended well", gauges.jobs.clone());
    let help = "Jobs that ended within the last hour";
    metrics.register("twofold_jobs_ended_last_hour", help, gauges.ended.clone());
    let help = "For how long the oldest job has been due";
    metrics.register("twofold_jobs_oldest_due_seconds", help, gauges.oldest.clone());
    let help = "How long jobs waited that ended within the last hour";
    metrics.register("twofold_jobs_wait_seconds", help, gauges.wait.clone());
    let help = "How long jobs ran that ended within the last hour";
    metrics.register("twofold_jobs_run_seconds", help, gauges.run.clone());
    metrics.register("twofold_job_workers", "Processes that work on jobs", gauges.workers.clone());
    let core = core.clone();
    metrics.on_scrape(move || {
        let (core, gauges) = (core.clone(), gauges.clone());
        async move {
            match control::overview(&core).await {
                Ok(overview) => gauges.show(overview, core.clock.now()),
                Err(error) => tracing::debug!("jobs can't be counted: {}", Chain(&error)),
            }
        }
    });
}

impl Gauges {
    fn show(&self, overview: Overview, now: DateTime<Utc>) {
        // A queue that has nothing any more isn't named.
        self.jobs.clear();
        self.ended.clear();
        self.oldest.clear();
        self.wait.clear();
        self.run.clear();
        self.workers.set(i64::try_from(overview.workers.len()).unwrap_or(i64::MAX));
        for counts in overview.queues {
            let queue = counts.queue;
            for (state, count) in [
                ("due", counts.due),
                ("scheduled", counts.scheduled),
                ("running", counts.running),
                ("failed", counts.failed),
            ] {
                self.jobs.get_or_create(&Of { queue: queue.clone(), state }).set(count);
            }
            let due_for = counts.oldest_due.map_or(0.0, |since| (now - since).as_seconds_f64());
            self.oldest.get_or_create(&Queue { queue }).set(due_for);
        }
        for recent in overview.recent {
            let queue = recent.queue;
            for (state, count) in [
                ("succeeded", recent.succeeded),
                ("failed", recent.failed),
                ("cancelled", recent.cancelled),
            ] {
                self.ended.get_or_create(&Of { queue: queue.clone(), state }).set(count);
            }
            for (family, quantile, millis) in [
                (&self.wait, "0.5", recent.wait_p50),
                (&self.wait, "0.95", recent.wait_p95),
                (&self.run, "0.5", recent.run_p50),
                (&self.run, "0.95", recent.run_p95),
            ] {
                let quantile = Quantile { queue: queue.clone(), quantile };
                family.get_or_create(&quantile).set(millis.unwrap_or_default() / 1000.0);
            }
        }
    }
}
