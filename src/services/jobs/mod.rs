//! Work that no request waits for: who wants it done writes it in their transaction, and it is done if, and
//! only if, that commits. `jobs/` does it.

pub mod control;
mod events;
mod schedule;
pub mod status;
mod waker;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::{Core, Result, ServiceError};
use crate::db::{
    Actor, Tx,
    jobs::{self, NewJob, Priority},
};

pub use events::{Event, Subscriptions};
pub use schedule::{Missed, Schedule};
pub use waker::Waker;

/// A kind of job: its type is what such a job is told, as JSON. Whoever may read the database can read
/// that, so it names secrets by their rows. A field that is added later has a default, because jobs of the
/// version before still wait.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name, `subject.verb`: never changed, for rows name it.
    const KIND: &'static str;
    /// Which queue it waits in. A queue is paused and measured as a whole.
    const QUEUE: &'static str = "default";
    const PRIORITY: Priority = Priority::Normal;
    /// Tries before it is given up; with the pauses between them, 12 span about six hours.
    const MAX_ATTEMPTS: i32 = 12;
    /// How long a try may take.
    const TIME_LIMIT: Duration = Duration::from_mins(5);

    /// Of one key only one job waits or runs: another one is not stored.
    fn unique_key(&self) -> Option<String> {
        None
    }
}

/// A job that is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    kind: &'static str,
    queue: &'static str,
    priority: Priority,
    max_attempts: i32,
    unique_key: Option<String>,
    payload: Value,
    run_at: Option<DateTime<Utc>>,
}

impl Order {
    /// As its kind has it: at once.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn of<J: Job>(job: &J) -> Result<Self> {
        Ok(Self {
            kind: J::KIND,
            queue: J::QUEUE,
            priority: J::PRIORITY,
            max_attempts: J::MAX_ATTEMPTS,
            unique_key: job.unique_key(),
            payload: serde_json::to_value(job).map_err(ServiceError::internal)?,
            run_at: None,
        })
    }

    /// Not before then.
    #[must_use]
    pub fn at(self, time: DateTime<Utc>) -> Self {
        Self { run_at: Some(time), ..self }
    }

    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Instead of the key of its kind.
    #[must_use]
    pub fn unique(self, key: impl Into<String>) -> Self {
        Self { unique_key: Some(key.into()), ..self }
    }
}

/// Takes orders.
pub struct Jobs {
    pub waker: Waker,
    /// Who reacts to what.
    pub subscriptions: Subscriptions,
    /// What recurs.
    pub schedules: Vec<Schedule>,
    /// The queues that there are.
    pub queues: Vec<String>,
    /// For how long jobs are kept that have ended.
    pub history: TimeDelta,
    /// How often workers say that they are alive.
    pub heartbeat: Duration,
}

impl Jobs {
    /// Stores a job in the transaction; `None` when one of its unique key waits or runs already.
    ///
    /// # Errors
    /// When the database fails, or the job can't be written as JSON.
    pub async fn enqueue<J: Job>(&self, core: &Core, tx: &mut Tx, job: &J) -> Result<Option<Uuid>> {
        let stored = self.enqueue_all(core, tx, vec![Order::of(job)?]).await?;
        Ok(stored.first().copied())
    }

    /// Stores jobs in the transaction, those aside whose unique key waits or runs already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue_all(
        &self,
        core: &Core,
        tx: &mut Tx,
        orders: Vec<Order>,
    ) -> Result<Vec<Uuid>> {
        /// PostgreSQL takes 65,535 values in a statement.
        const AT_ONCE: usize = 2000;
        let (now, origin) = (tx.now, tx.origin.clone());
        let user_id = if let Actor::User(id) = origin.actor { Some(id) } else { None };
        let rows: Vec<NewJob> = orders
            .iter()
            .map(|order| NewJob {
                id: core.random.id(now),
                queue: order.queue,
                kind: order.kind,
                payload: order.payload.clone(),
                priority: order.priority,
                run_at: order.run_at.unwrap_or(now),
                unique_key: order.unique_key.as_deref(),
                max_attempts: order.max_attempts,
                user_id,
                admin_id: origin.actor.admin_id(),
                request_id: &origin.request_id,
                now,
            })
            .collect();
        let mut stored = Vec::with_capacity(rows.len());
        for part in rows.chunks(AT_ONCE) {
            stored.extend(jobs::insert(tx, part).await?);
        }
        if rows.iter().any(|row| row.run_at <= now) {
            let waker = self.waker.clone();
            tx.after_commit(move || waker.wake());
        }
        Ok(stored)
    }

    /// Says that something has happened: whoever has subscribed to it reacts, if the transaction commits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish<E: Event>(&self, core: &Core, tx: &mut Tx, event: &E) -> Result<()> {
        let orders = self.subscriptions.reactions(event)?;
        if !orders.is_empty() {
            self.enqueue_all(core, tx, orders).await?;
        }
        Ok(())
    }
}
