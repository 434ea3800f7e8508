//! Whether a session is open, and what it may do, which each request asks: most often without a statement, and never with a
//! wrong answer.
//!
//! PostgreSQL is the truth. A session that was found open there is kept in this process for a second, and in the
//! cache, which is Redis, for a minute; that one has ended is always read. So that no session is taken for open a
//! second after its end, whatever becomes of Redis and of the bus:
//!
//! 1. In this process a session counts for a second from the moment *before* it was read.
//! 2. Whatever ends a session, or changes what it may do, tells all processes in the same transaction (triggers of
//!    the database). The process that does it notes it itself, before anybody is answered
//!    ([`SessionCheck::changes`]). What was read before does not count any more.
//! 3. A session from the cache counts if its change would have been heard of: the bus has heard without a gap since
//!    before the session was read, from the same server; it has heard all that was committed up to a moment
//!    within the last second ([`Bus::pulse`]); and nothing was noted of the session or its account. From that
//!    moment on it counts for a second, as by 1.
//! 4. What is noted is remembered for longer than what was read a while ago may be taken from the cache. For Redis
//!    does what it was told when it comes to it: a stopped one may store a session long after its end, and one
//!    that starts again may have what was deleted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Code, Core, Result, permissions::Permissions, tokens::Subject};
use crate::{
    adapters::{cache::Cache, clock::Clock, memory::Memory},
    db::{
        Bus, Pulse, Topic, Tx,
        open_sessions::{self, Found},
        sessions::Realm,
    },
};

/// How long a session counts from the moment at which it was surely open (security condition 4).
const FRESH: Duration = Duration::from_secs(1);
/// How long a session may be taken from the cache.
const LIFE: Duration = Duration::from_mins(1);
/// How long it is remembered that a session has ended: well over [`LIFE`].
const MEMORY: Duration = Duration::from_mins(2);
/// How many sessions this process keeps.
const ROOM: usize = 10_000;
/// How many ends it remembers; when there are more, nothing is taken from the cache for a while.
const ENDS: usize = 100_000;

/// A session that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    pub account_id: Uuid,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// When the account last proved who it is, as far as is known.
    pub authenticated_at: DateTime<Utc>,
    /// Of staff: whether they have set one up.
    pub has_second_factor: bool,
    /// Of staff.
    pub permissions: Permissions,
}

/// As it stands in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cached {
    #[serde(flatten)]
    session: OpenSession,
    /// See [`Found`].
    read_at: DateTime<Utc>,
    server: DateTime<Utc>,
}

impl Cached {
    /// Whether the session's end would have been told on a bus with this pulse, by now.
    fn is_covered(&self, pulse: &Pulse, now: Instant) -> bool {
        let passed = TimeDelta::from_std(now.saturating_duration_since(pulse.as_of));
        let database_now = pulse.database_time + passed.unwrap_or(TimeDelta::MAX);
        let age = database_now - self.read_at;
        self.server == pulse.server
            && self.read_at >= pulse.since
            // The clock may have been put back.
            && age >= TimeDelta::zero()
            && age.to_std().is_ok_and(|age| age < LIFE)
    }
}

/// As this process keeps it.
#[derive(Clone, Copy)]
struct Kept {
    session: OpenSession,
    /// It was surely open then.
    as_of: Instant,
}

/// Checks the sessions of one realm.
pub struct SessionCheck {
    realm: Realm,
    clock: Clock,
    cache: Cache,
    bus: Bus,
    kept: Memory<Uuid, Kept>,
    ends: Arc<Mutex<Ends>>,
}

impl SessionCheck {
    /// Hears on the bus of what ends.
    #[must_use]
    pub fn new(realm: Realm, clock: Clock, cache: Cache, bus: Bus) -> Self {
        let ends = Arc::<Mutex<Ends>>::default();
        bus.hear(Topic::Sessions, {
            let (ends, clock) = (ends.clone(), clock.clone());
            move |told| {
                if let Some(id) = told.and_then(|text| text.parse().ok()) {
                    lock(&ends).note(id, clock.moment());
                }
            }
        });
        let kept = Memory::new(ROOM, clock.clone());
        Self { realm, clock, cache, bus, kept, ends }
    }

    /// Notes, once the transaction is committed, that this session, or all of this account, have ended or may do
    /// something else.
    pub fn changes(&self, tx: &mut Tx, id: Uuid) {
        let (ends, clock) = (self.ends.clone(), self.clock.clone());
        tx.after_commit(move || lock(&ends).note(id, clock.moment()));
    }

    /// The session of a token that was verified.
    ///
    /// # Errors
    /// [`Code::SessionEnded`], or [`Code::AccountSuspended`].
    pub async fn check(&self, core: &Core, subject: Subject) -> Result<OpenSession> {
        let now = self.clock.now();
        let is_open =
            |found: &OpenSession| found.account_id == subject.account_id && found.expires_at > now;
        if let Some(found) = self.kept(subject.session_id).filter(is_open) {
            return Ok(found);
        }
        if let Some(found) = self.cached(subject.session_id).await.filter(is_open) {
            return Ok(found);
        }
        self.read(core, subject).await
    }

    /// The same from PostgreSQL: one statement.
    ///
    /// # Errors
    /// As [`SessionCheck::check`].
    pub async fn read(&self, core: &Core, subject: Subject) -> Result<OpenSession> {
        let (now, as_of) = (self.clock.now(), self.clock.moment());
        let mut conn = core.db.conn().await?;
        let found = open_sessions::read(&mut conn, self.realm, subject.session_id, now).await?;
        drop(conn);
        let found = found.filter(|found| found.account_id == subject.account_id);
        let found = found.ok_or(Code::SessionEnded)?;
        if found.is_suspended {
            return Err(Code::AccountSuspended.into());
        }
        if found.is_revoked {
            return Err(Code::SessionEnded.into());
        }
        let session = OpenSession {
            account_id: found.account_id,
            expires_at: found.expires_at,
            authenticated_at: found.authenticated_at.unwrap_or(found.created_at),
            has_second_factor: found.has_second_factor,
            permissions: Permissions::granted_by(&found.grants),
        };
        self.keep(subject.session_id, session, as_of);
        self.store(subject.session_id, session, &found);
        Ok(session)
    }

    /// From this process.
    fn kept(&self, id: Uuid) -> Option<OpenSession> {
        let kept = self.kept.get(&id)?;
        let end = lock(&self.ends).last(id, kept.session.account_id);
        end.is_none_or(|end| end.moment < kept.as_of).then_some(kept.session)
    }

    fn keep(&self, id: Uuid, session: OpenSession, as_of: Instant) {
        self.kept.set(id, Kept { session, as_of }, 1, as_of + FRESH);
    }

    /// From the cache.
    async fn cached(&self, id: Uuid) -> Option<OpenSession> {
        let pulse = self.bus.pulse()?;
        let value = self.cache.get(&self.key(id)).await.ok()??;
        let Cached { session, .. } = serde_json::from_slice(&value)
            .ok()
            .filter(|cached: &Cached| cached.is_covered(&pulse, self.clock.moment()))?;
        // After the pulse was taken: so all that it has heard was noted before.
        let end = lock(&self.ends).last(id, session.account_id);
        if end.is_some_and(|end| end.at.elapsed() < MEMORY) {
            return None;
        }
        self.keep(id, session, pulse.as_of);
        Some(session)
    }

    /// Puts it into the cache, which nobody waits for.
    fn store(&self, id: Uuid, session: OpenSession, found: &Found) {
        let cached = Cached { session, read_at: found.read_at, server: found.server };
        let Ok(value) = serde_json::to_vec(&cached) else { return };
        let (cache, key) = (self.cache.clone(), self.key(id));
        // Without it the session is read again.
        tokio::spawn(async move { cache.set(&key, &value, LIFE).await });
    }

    fn key(&self, id: Uuid) -> String {
        let realm = match self.realm {
            Realm::Client => "client",
            Realm::Backoffice => "backoffice",
        };
        format!("session:{realm}:{id}")
    }
}

/// Which sessions have ended lately, and of which accounts all.
#[derive(Default)]
struct Ends {
    noted: HashMap<Uuid, End>,
    /// When there were too many to remember each, it may have been any.
    any: Option<End>,
}

/// When an end was noted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    /// By the clock, as what is kept in this process has it.
    moment: Instant,
    /// As time really passes, for so it does in Redis and in the database whatever a test does to the clock.
    at: Instant,
}

impl Ends {
    fn note(&mut self, id: Uuid, moment: Instant) {
        let end = End { moment, at: Instant::now() };
        if self.noted.len() >= ENDS {
            self.noted.retain(|_, end| end.at.elapsed() < MEMORY);
            if self.noted.len() >= ENDS / 2 {
                (self.noted, self.any) = (HashMap::new(), Some(end));
            }
        }
        self.noted.insert(id, end);
    }

    fn last(&self, session_id: Uuid, account_id: Uuid) -> Option<End> {
        let of = |id| self.noted.get(&id).copied();
        of(session_id).max(of(account_id)).max(self.any)
    }
}

fn lock(ends: &Mutex<Ends>) -> MutexGuard<'_, Ends> {
    ends.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::permissions::Permission;

    fn session() -> OpenSession {
        let (account_id, time) = (Uuid::from_u128(2), DateTime::UNIX_EPOCH);
        let permissions = Permissions::of(&[Permission::UsersRead]);
        OpenSession {
            account_id,
            expires_at: time,
            authenticated_at: time,
            has_second_factor: true,
            permissions,
        }
    }

    #[test]
    fn a_session_from_the_cache_is_covered_by_what_the_bus_has_heard() {
        let (moment, second) = (Instant::now(), TimeDelta::seconds(1));
        let time = DateTime::UNIX_EPOCH + second * 1_000_000;
        let pulse = Pulse {
            as_of: moment,
            database_time: time,
            since: time - second * 50,
            server: time - second * 3600,
        };
        let cached = |read_at| Cached { session: session(), read_at, server: pulse.server };
        let later = |seconds| moment + Duration::from_secs(seconds);
        assert!(cached(time).is_covered(&pulse, moment));
        assert!(cached(time - second * 10).is_covered(&pulse, later(1)));
        assert!(cached(pulse.since).is_covered(&pulse, moment));
        assert!(!cached(pulse.since - second).is_covered(&pulse, moment), "before it heard");
        let elsewhere = Cached { server: time, ..cached(time) };
        assert!(!elsewhere.is_covered(&pulse, moment), "another server");
        assert!(!cached(time + second).is_covered(&pulse, moment), "the clock was put back");
        assert!(cached(time + second).is_covered(&pulse, later(1)), "it was read since");
        let long = Pulse { since: time - second * 3600, ..pulse };
        assert!(cached(time - second * 59).is_covered(&long, moment));
        assert!(!cached(time - second * 59).is_covered(&long, later(1)), "too old");
        assert!(!cached(time - second * 300).is_covered(&long, moment), "too old");
    }

    #[test]
    fn ends_are_remembered_by_session_and_by_account_and_none_is_lost_when_there_are_too_many() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let (a, b, c) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut ends = Ends::default();
        assert!(ends.last(a, b).is_none());
        ends.note(a, at(1));
        ends.note(b, at(2));
        let last =
            |ends: &Ends, session, account| ends.last(session, account).map(|end| end.moment);
        assert_eq!(last(&ends, a, c), Some(at(1)));
        assert_eq!(last(&ends, c, b), Some(at(2)));
        assert_eq!(last(&ends, a, b), Some(at(2)), "the later one counts");
        assert_eq!(last(&ends, b, a), Some(at(2)));
        assert_eq!(last(&ends, c, c), None);
        for number in 0..ENDS as u128 {
            ends.note(Uuid::from_u128(1000 + number), at(3));
        }
        assert!(ends.noted.len() < ENDS);
        assert_eq!(last(&ends, a, b), Some(at(3)));
        assert_eq!(last(&ends, c, c), Some(at(3)), "it may have been any");
    }

    #[tokio::test]
    async fn what_was_read_before_an_end_was_noted_does_not_count_whenever_it_is_kept() {
        let clock = Clock::default();
        let bus = Bus::new(clock.clone(), crate::adapters::random::Random);
        let cache = Cache::in_process(clock.clone());
        let check = SessionCheck::new(Realm::Client, clock.clone(), cache, bus);
        let id = Uuid::from_u128(1);
        for noted in [id, session().account_id] {
            let before = clock.moment();
            check.keep(id, session(), before);
            assert_eq!(check.kept(id), Some(session()));
            lock(&check.ends).note(noted, clock.moment());
            assert_eq!(check.kept(id), None);
            check.keep(id, session(), before);
            assert_eq!(check.kept(id), None, "it was read before");
            check.keep(id, session(), clock.moment());
            assert_eq!(check.kept(id), Some(session()), "it was read since");
        }
        clock.advance(TimeDelta::milliseconds(900));
        assert_eq!(check.kept(id), Some(session()));
        clock.advance(TimeDelta::milliseconds(100));
        assert_eq!(check.kept(id), None);
    }
}
