//! Answers of the database that are kept for a while, and never longer than they are right.
//!
//! A value is kept, in Redis or where there is none in this process, with when it was read and the tags of what it was made
//! of. Whoever changes that names the tags in the same transaction ([`Cache::changes`]), and all processes hear it on the bus
//! when it commits. A value counts if a change would have been heard of since it was read, and none was. So nothing has to be
//! removed from Redis, and it does no harm if that dies, hangs, forgets, or remembers what it should have forgotten: then
//! only the database is asked more often, as it is when the bus is deaf.

mod changes;
mod flights;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Result, ServiceError,
    noted::{Noted, ReadAt},
};
use crate::{
    adapters::{cache::Cache as Store, clock::Clock, random::Random},
    db::{Bus, Pulse, Topic, Tx, tell_of_change},
    telemetry::metrics::Metrics,
};
use changes::Changes;
use flights::{Boarded, Flight, Flights};

/// How long it counts that there is nothing.
const LIFE_OF_NOTHING: Duration = Duration::from_mins(1);
/// How long a process that loads keeps others from doing the same.
const CLAIM: Duration = Duration::from_secs(1);
/// How often those look whether it is done.
const LOOK: Duration = Duration::from_millis(10);

/// What one finds by a key: a kind, which metrics have, and a name within it.
#[derive(Debug, Clone)]
pub struct Key {
    kind: &'static str,
    text: String,
}

impl Key {
    #[must_use]
    pub fn new(kind: &'static str, name: impl std::fmt::Display) -> Self {
        Self { kind, text: format!("{kind}:{name}") }
    }
}

/// Something that has changed, or that a value was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// All that was made of what has this tag.
    Tag(String),
    /// All whose key begins so, as in `feed:`.
    Keys(String),
}

/// A value that was read from the database, or that there is none, and what it was made of.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    pub value: Option<T>,
    pub tags: Vec<String>,
}

/// As it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    /// `None`: it can't be told whether it counts any more.
    #[serde(flatten)]
    read: Option<ReadAt>,
    /// The process that read it, and when by its own clock, in microseconds since it was started.
    process: u64,
    micros: u64,
    tags: Vec<String>,
    /// As JSON.
    value: String,
}

/// The cache of this process; where there is Redis, it shares what is kept with others.
pub struct Cache {
    /// `None`: it is off.
    store: Option<Store>,
    clock: Clock,
    bus: Bus,
    life: Duration,
    random: Random,
    process: u64,
    started: Instant,
    changes: Arc<Changes>,
    flights: Flights<Entry>,
    reads: Family<Read, Counter>,
}

/// What became of a read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Read {
    kind: &'static str,
    outcome: &'static str,
}

impl Cache {
    /// Keeps values for up to `life` in `store`; with none it is off. Hears on the bus of what changes.
    #[must_use]
    pub fn new(
        store: Option<Store>,
        life: Duration,
        clock: Clock,
        random: Random,
        bus: Bus,
        metrics: &Metrics,
    ) -> Self {
        let process = u64::from_le_bytes(random.bytes());
        let changes = Arc::new(Changes::new(process, life, clock.clone(), bus.clone()));
        bus.hear(Topic::Cache, {
            let changes = changes.clone();
            move |told| changes.heard(told)
        });
        let reads = Family::<Read, Counter>::default();
        let help = "Reads by way of the cache, by what was found";
        metrics.register("twofold_cache_reads", help, reads.clone());
        let (started, flights) = (clock.moment(), Flights::default());
        Self { store, clock, bus, life, random, process, started, changes, flights, reads }
    }

    /// Tells, if and when the transaction commits, that this has changed: one statement. Its own process counts nothing that
    /// was read before, from then on, and the others a moment later.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes(&self, tx: &mut Tx, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let told: Vec<String> = changes.iter().map(|change| self.changes.told(change)).collect();
        tell_of_change(tx, &told).await?;
        let changes = self.changes.clone();
        tx.after_commit(move || told.iter().for_each(|told| changes.committed(told)));
        Ok(())
    }

    /// The value of a key, which is loaded if it isn't there: by one of all those who ask for it at the same time, also in
    /// other processes.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn get_or_load<T, F>(&self, key: &Key, load: impl FnOnce() -> F) -> Result<Option<T>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<Loaded<T>>>,
    {
        let Some(store) = &self.store else {
            self.count(key, "bypassed");
            return Ok(load().await?.value);
        };
        let flight = match self.board(key).await {
            Ok(flight) => flight,
            Err(Some(entry)) => {
                self.count(key, "shared");
                return parse(&entry);
            }
            Err(None) => {
                self.count(key, "miss");
                return Ok(load().await?.value);
            }
        };
        // Without a pulse a change wouldn't be heard of.
        let hears = self.bus.pulse().is_some();
        let (found, claim) = if hears { self.look(store, key).await } else { (None, None) };
        // Another version of the program may have stored it in another shape.
        if let Some((entry, outcome)) = found
            && let Ok(value) = parse(&entry)
        {
            self.count(key, outcome);
            flight.land(entry);
            if let Some(claim) = claim {
                claim.release(store).await;
            }
            return Ok(value);
        }
        self.count(key, if hears { "miss" } else { "bypassed" });
        let (moment, pulse) = (self.clock.moment(), self.bus.pulse());
        let loaded = load().await;
        if let Ok(loaded) = &loaded {
            let read = pulse.map(|pulse| read_at(&pulse, moment));
            let entry = self.entry(loaded, read, moment)?;
            if read.is_some() {
                self.keep(store, key, &entry, loaded.value.is_some()).await;
            }
            flight.land(entry);
        }
        if let Some(claim) = claim {
            claim.release(store).await;
        }
        Ok(loaded?.value)
    }

    fn entry<T: Serialize>(
        &self,
        loaded: &Loaded<T>,
        read: Option<ReadAt>,
        moment: Instant,
    ) -> Result<Entry> {
        let value = serde_json::to_string(&loaded.value).map_err(ServiceError::internal)?;
        let (process, micros, tags) = (self.process, self.micros(moment), loaded.tags.clone());
        Ok(Entry { read, process, micros, tags, value })
    }

    /// The turn to get the value, or instead what somebody else has got meanwhile; `Err(None)`: nothing that counts.
    async fn board(&self, key: &Key) -> Result<Flight<Entry>, Option<Entry>> {
        // What began before this one asked may have been read before a change that it has to know of. What begins from then
        // on is as good as its own. There is no queue of all who fail one after another.
        for is_new in [false, true] {
            match self.flights.board(&key.text) {
                Boarded::First(flight) => return Ok(flight),
                Boarded::Waiting(waiting) => {
                    if let Some(entry) = waiting.landed().await
                        && (is_new || self.counts(key, &entry))
                    {
                        return Err(Some(entry));
                    }
                }
            }
        }
        Err(None)
    }

    /// What is stored, or what another process stores that is just loading it; else it is for this one to load, which may
    /// have a claim to it.
    async fn look(
        &self,
        store: &Store,
        key: &Key,
    ) -> (Option<(Entry, &'static str)>, Option<Claim>) {
        if let Some(entry) = self.stored(store, key).await {
            return (Some((entry, "hit")), None);
        }
        let (mut claim, asked) = (Claim::of(store, key).await, Instant::now());
        while claim.is_none() && asked.elapsed() < CLAIM {
            tokio::time::sleep(LOOK).await;
            if let Some(entry) = self.stored(store, key).await {
                return (Some((entry, "shared")), None);
            }
            claim = Claim::of(store, key).await;
        }
        // Whoever had it before may have stored it just now.
        (self.stored(store, key).await.map(|entry| (entry, "shared")), claim)
    }

    /// The entry of a key, if it counts.
    async fn stored(&self, store: &Store, key: &Key) -> Option<Entry> {
        let bytes = store.get(&name(key)).await.ok()??;
        let entry = serde_json::from_slice(&bytes).ok()?;
        self.counts(key, &entry).then_some(entry)
    }

    /// Stores an entry, for a time that differs, so that what was stored together doesn't end together.
    async fn keep(&self, store: &Store, key: &Key, entry: &Entry, is_something: bool) {
        let life = if is_something { self.life } else { self.life.min(LIFE_OF_NOTHING) };
        let [byte] = self.random.bytes::<1>();
        let life = life.mul_f64(1.0 - f64::from(byte) / 2550.0);
        let Ok(bytes) = serde_json::to_vec(entry) else { return };
        // Without it the value is loaded again.
        let _ = store.set(&name(key), &bytes, life).await;
    }

    /// Whether a change of what it was made of would have been heard of, and none was.
    fn counts(&self, key: &Key, entry: &Entry) -> bool {
        let now = self.clock.moment();
        let (Some(pulse), Some(read)) = (self.bus.pulse(), entry.read) else { return false };
        if !read.is_covered(&pulse, now, self.life) {
            return false;
        }
        let names = entry.tags.iter().map(|tag| Change::Tag(tag.clone()).name());
        let names: Vec<String> = names.chain(prefixes(&key.text)).collect();
        let last = self.changes.last(names.iter().map(String::as_str));
        last.is_none_or(|last| self.was_read_after(&last, entry, read))
    }

    fn was_read_after(&self, change: &Noted, entry: &Entry, read: ReadAt) -> bool {
        if entry.process == self.process {
            self.micros(change.moment) < entry.micros
        } else {
            change.database_time.is_some_and(|time| time < read.read_at)
        }
    }

    fn micros(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.started).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    fn count(&self, key: &Key, outcome: &'static str) {
        self.reads.get_or_create(&Read { kind: key.kind, outcome }).inc();
    }
}

/// For a while it is for this process to load a value, and for no other one.
struct Claim {
    name: String,
    since: Instant,
}

impl Claim {
    /// If nobody else has it. Where Redis doesn't say, everybody has.
    async fn of(store: &Store, key: &Key) -> Option<Self> {
        let (name, since) = (format!("{}:claim", name(key)), Instant::now());
        store.claim(&name, CLAIM).await.unwrap_or(true).then_some(Self { name, since })
    }

    /// Lets others have it, unless it is theirs by now.
    async fn release(self, store: &Store) {
        if self.since.elapsed() < CLAIM {
            let _ = store.delete(&self.name).await;
        }
    }
}

impl Change {
    /// As it is told and noted.
    fn name(&self) -> String {
        match self {
            Self::Tag(tag) => format!("tag {tag}"),
            Self::Keys(prefix) => format!("keys {prefix}"),
        }
    }
}

/// The names of all changes of keys that this one would be among: prefixes end with a colon.
fn prefixes(key: &str) -> impl Iterator<Item = String> {
    key.match_indices(':').map(|(at, _)| Change::Keys(key[..=at].to_owned()).name())
}

/// As the store has it.
fn name(key: &Key) -> String {
    format!("cache:{}", key.text)
}

fn parse<T: DeserializeOwned>(entry: &Entry) -> Result<Option<T>> {
    serde_json::from_str(&entry.value).map_err(ServiceError::internal)
}

/// The time of a moment by the clock of the database, or a little before.
fn read_at(pulse: &Pulse, moment: Instant) -> ReadAt {
    ReadAt { read_at: database_time(pulse, pulse.heard_at, moment), server: pulse.server }
}

/// The time of a moment, if that of `known` is the pulse's.
fn database_time(pulse: &Pulse, known: Instant, moment: Instant) -> DateTime<Utc> {
    let since = |a: Instant, b: Instant| {
        TimeDelta::from_std(b.saturating_duration_since(a)).unwrap_or(TimeDelta::MAX)
    };
    pulse.database_time + since(known, moment) - since(moment, known)
}
