//! The consumer group of those who collect: Redis hands each line to one of them.

use std::{collections::BTreeMap, time::Duration};

use fred::{interfaces::StreamsInterface, types::Value};

use super::stream::{self, Entry};
use crate::adapters::redis::{Connection, Redis, RedisError, within};

const GROUP: &str = "files";
/// How many lines are handed out at a time.
const BATCH: Option<u64> = Some(5000);
/// How long to wait for new lines: so long it takes to stop.
const WAIT: Duration = Duration::from_millis(500);
/// Who hasn't confirmed lines after this is taken for dead. Who was only slow writes them twice.
const DEAD: Duration = Duration::from_secs(5);
/// A member without lines that has not been heard of for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// A member of the group.
pub(super) struct Group {
    connection: Connection,
    key: String,
    name: String,
}

impl Group {
    /// Joins under this name; makes stream and group, if they aren't there.
    pub async fn join(redis: &Redis, name: &str) -> Result<Self, RedisError> {
        let (connection, key) = (redis.connect().await?, redis.key(stream::NAME));
        let made = connection.xgroup_create(&*key, GROUP, "0", true);
        match within(Duration::ZERO, made).await {
            Err(RedisError::Failed(error)) if error.details().starts_with("BUSYGROUP") => {}
            made => made?,
        }
        Ok(Self { connection, key, name: name.to_owned() })
    }

    /// Waits a moment for new lines.
    pub async fn read(&self) -> Result<Vec<Entry>, RedisError> {
        let wait = u64::try_from(WAIT.as_millis()).ok();
        let (key, name) = (&*self.key, &*self.name);
        let read = self.connection.xreadgroup(GROUP, name, BATCH, wait, false, key, ">");
        let streams: Value = within(WAIT, read).await?;
        // Of each stream that was asked for, its name and the entries.
        let ours = streams.into_array().into_iter().next();
        Ok(ours.and_then(|ours| ours.into_array().pop()).map(Entry::list).unwrap_or_default())
    }

    /// Lines that others got and haven't confirmed.
    pub async fn take_over(&self) -> Result<Vec<Entry>, RedisError> {
        let idle = u64::try_from(DEAD.as_millis()).unwrap_or(u64::MAX);
        let (key, name) = (&*self.key, &*self.name);
        let claim = self.connection.xautoclaim(key, GROUP, name, idle, "0-0", BATCH, false);
        let answer: Value = within(Duration::ZERO, claim).await?;
        // Where to go on, the entries, and the ids of removed ones.
        Ok(answer.into_array().into_iter().nth(1).map(Entry::list).unwrap_or_default())
    }

    /// The lines are on the disk.
    pub async fn confirm(&self, entries: &[Entry]) -> Result<(), RedisError> {
        let ids: Vec<&str> = entries.iter().map(|entry| &*entry.id).collect();
        within(Duration::ZERO, self.connection.xack(&*self.key, GROUP, ids)).await
    }

    /// Removes lines that every group has confirmed, and members that are no more.
    pub async fn tidy(&self) -> Result<(), RedisError> {
        if let Some(id) = self.first_unconfirmed().await? {
            let trimmed = self.connection.xtrim(&*self.key, ("MINID", "=", id));
            let () = within(Duration::ZERO, trimmed).await?;
        }
        let asked = self.connection.xinfo_consumers(&*self.key, GROUP);
        let members: Vec<BTreeMap<String, Value>> = within(Duration::ZERO, asked).await?;
        for member in members {
            let number = |name: &str| member.get(name).and_then(Value::as_u64).unwrap_or_default();
            let is_gone = Duration::from_millis(number("idle")) > FORGOTTEN;
            // What is pending would be forgotten with it.
            if is_gone && number("pending") == 0 {
                let name = member.get("name").and_then(Value::as_string).unwrap_or_default();
                let removed = self.connection.xgroup_delconsumer(&*self.key, GROUP, name);
                let () = within(Duration::ZERO, removed).await?;
            }
        }
        Ok(())
    }

    /// An id before which every group has confirmed all lines.
    async fn first_unconfirmed(&self) -> Result<Option<String>, RedisError> {
        let asked = self.connection.xinfo_groups(&*self.key);
        let groups: Vec<BTreeMap<String, Value>> = within(Duration::ZERO, asked).await?;
        let mut first: Option<String> = None;
        for group in groups {
            let text = |name: &str| group.get(name).and_then(Value::as_string).unwrap_or_default();
            // In this order: what is handed out in between has a greater id.
            let handed_out = text("last-delivered-id");
            let asked = self.connection.xpending(&*self.key, text("name"), ());
            let pending: Value = within(Duration::ZERO, asked).await?;
            // How many there are, then the first one.
            let pending = pending.into_array().into_iter().nth(1).and_then(Value::into_string);
            for id in pending.into_iter().chain([handed_out]) {
                if first.as_ref().is_none_or(|first| order(&id) < order(first)) {
                    first = Some(id);
                }
            }
        }
        Ok(first)
    }
}

/// Ids are two numbers.
fn order(id: &str) -> (u64, u64) {
    let (time, number) = id.split_once('-').unwrap_or((id, "0"));
    (time.parse().unwrap_or_default(), number.parse().unwrap_or_default())
}
