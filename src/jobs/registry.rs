//! Which kinds of jobs there are, what recurs, and who reacts to what.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::Value;

use super::handler::{Context, Handler, JobError};
use crate::{
    db::Bus,
    services::jobs::{Event, Jobs, Schedule, Subscriptions, Waker},
};

type Doing = Pin<Box<dyn Future<Output = Result<Option<Value>, JobError>> + Send>>;

/// A kind of job, its type forgotten.
pub(super) struct KindEntry {
    pub time_limit: Duration,
    pub run: fn(Value, Context) -> Doing,
}

type Subscription = Box<dyn Fn(&mut Subscriptions) + Send + Sync>;

/// Everything that workers can do. A product adds its own to [`super::registry`].
#[derive(Default)]
pub struct Registry {
    pub(super) kinds: BTreeMap<&'static str, KindEntry>,
    queues: BTreeSet<&'static str>,
    schedules: Vec<Schedule>,
    subscriptions: Vec<Subscription>,
}

impl Registry {
    /// Jobs of this kind can be done.
    #[must_use]
    pub fn handle<J: Handler>(mut self) -> Self {
        let entry = KindEntry { time_limit: J::TIME_LIMIT, run: run::<J> };
        self.kinds.insert(J::KIND, entry);
        self.queues.insert(J::QUEUE);
        self
    }

    /// A job is done whenever `E` happens.
    #[must_use]
    pub fn on<E: Event, J: Handler>(mut self, job: fn(&E) -> J) -> Self {
        self.subscriptions.push(Box::new(move |subscriptions| subscriptions.on(job)));
        self.handle::<J>()
    }

    /// A job is done at each of these times.
    #[must_use]
    pub fn schedule<J: Handler>(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self.handle::<J>()
    }

    /// What the services need to know of it.
    #[must_use]
    pub fn jobs(&self, history: TimeDelta, heartbeat: Duration, bus: Bus) -> Jobs {
        let mut subscriptions = Subscriptions::default();
        self.subscriptions.iter().for_each(|subscribe| subscribe(&mut subscriptions));
        Jobs {
            history,
            heartbeat,
            waker: Waker::new(bus),
            subscriptions,
            schedules: self.schedules.clone(),
            queues: self.queues.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

fn run<J: Handler>(payload: Value, context: Context) -> Doing {
    Box::pin(async move {
        let job: J = serde_json::from_value(payload).map_err(JobError::fail)?;
        let output = serde_json::to_value(job.run(context).await?).map_err(JobError::fail)?;
        Ok(Some(output).filter(|output| !output.is_null()))
    })
}
