//! What processes tell each other, by LISTEN and NOTIFY on connections of its own, past any pooler.
//!
//! The bus also knows up to when it has heard everything ([`Bus::pulse`]). For that it tells itself numbers:
//! PostgreSQL delivers in the order of commits, so who hears a number has heard all that was committed
//! before it was sent. A bus that is deaf, whatever the reason, hears no numbers.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Array, Text},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use futures_util::future;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};
use tokio_postgres::AsyncMessage;

use super::{
    Conn, DbError,
    connect::{connect, connect_and_hear},
};
use crate::{
    adapters::{clock::Clock, random::Random},
    telemetry::Chain,
};

/// A burst of jobs is told of once.
const DEBOUNCE: Duration = Duration::from_millis(2);
/// How long it is waited before the next connection, when there is none.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the bus tells itself a number while somebody wants to know its pulse.
const BEAT: Duration = Duration::from_millis(500);
/// The same when nobody does, to notice what has become of the connections.
const REST: Duration = Duration::from_secs(30);
/// How long after the last time somebody is taken to want to know it.
const INTEREST: Duration = Duration::from_secs(10);
/// A number that isn't heard for so long never will be.
const DEAF: Duration = Duration::from_secs(5);
/// How old a pulse may be.
const FRESH: Duration = Duration::from_secs(1);

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// There are jobs: [`Bus::tell_of_jobs`].
    Jobs,
    /// Sessions have ended. Triggers tell it, in the transaction that ends them.
    Sessions,
    /// Staff have changed a setting, whose name it is. A trigger tells it.
    Settings,
    /// Something that may be in the cache has changed: [`tell_of_change`].
    Cache,
}

impl Topic {
    const ALL: [Self; 4] = [Self::Jobs, Self::Sessions, Self::Settings, Self::Cache];

    fn channel(self) -> &'static str {
        match self {
            Self::Jobs => "twofold_jobs",
            Self::Sessions => "twofold_sessions",
            Self::Settings => "twofold_settings",
            Self::Cache => "twofold_cache",
        }
    }
}

/// Up to when everything was heard, since when, and from which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// By the [`moment`](Clock::moment)s of the clock: all that had been committed then was heard.
    pub as_of: Instant,
    /// When the bus heard so.
    pub heard_at: Instant,
    /// By the clock of the database, a moment between both.
    pub database_time: DateTime<Utc>,
    /// By the clock of the database: all that was committed since then was heard.
    pub since: DateTime<Utc>,
    /// When the database server was started, which tells it from others: their clocks may differ.
    pub server: DateTime<Utc>,
}

type Hook = Arc<dyn Fn(Option<&str>) + Send + Sync>;

/// Tells all processes that these have changed, if and when the transaction commits.
///
/// # Errors
/// When the statement fails.
pub async fn tell_of_change(conn: &mut Conn, names: &[String]) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_notify('twofold_cache', name) FROM unnest($1) name")
        .bind::<Array<Text>, _>(names)
        .execute(conn)
        .await?;
    Ok(())
}

/// The bus of this process. Clones share it.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// The channel on which it tells itself numbers: nobody else is woken by them.
    own: String,
    hooks: Mutex<Vec<(Topic, Hook)>>,
    rhythm: Mutex<Rhythm>,
    jobs: Notify,
    wanted: Notify,
}

#[derive(Default)]
struct Rhythm {
    /// The last one that was sent, and when.
    number: u64,
    sent_at: Option<Instant>,
    is_heard: bool,
    pulse: Option<Pulse>,
    /// When somebody last wanted to know it.
    wanted_at: Option<Instant>,
}

impl Bus {
    /// Connects to nothing before [`Bus::run`] does.
    #[must_use]
    pub fn new(clock: Clock, random: Random) -> Self {
        let own = format!("twofold_pulse_{}", &random.token()[..32]);
        let (hooks, rhythm) = (Mutex::default(), Mutex::default());
        let (jobs, wanted) = (Notify::new(), Notify::new());
        Self(Arc::new(Inner { clock, own, hooks, rhythm, jobs, wanted }))
    }

    /// Calls this with all that is told on a topic; with `None` when the bus begins to hear, because something
    /// may have been told before.
    pub fn hear(&self, topic: Topic, hook: impl Fn(Option<&str>) + Send + Sync + 'static) {
        let mut hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.push((topic, Arc::new(hook)));
    }

    /// Tells all processes that there are jobs. One that doesn't hear it finds them a little later.
    ///
    /// Never in the transaction that stores a job: NOTIFY holds a lock over all databases until the commit is
    /// written, so that commits would wait for each other.
    pub fn tell_of_jobs(&self) {
        self.0.jobs.notify_one();
    }

    /// Up to when everything was heard; `None` unless that is a second ago at most.
    #[must_use]
    pub fn pulse(&self) -> Option<Pulse> {
        let now = self.0.clock.moment();
        let mut rhythm = self.rhythm();
        rhythm.wanted_at = Some(Instant::now());
        let age = rhythm.pulse.map(|pulse| now - pulse.as_of);
        if age.is_none_or(|age| age > BEAT) {
            self.0.wanted.notify_one();
        }
        rhythm.pulse.filter(|_| age.is_some_and(|age| age < FRESH))
    }

    /// Hears and tells, until it is dropped. `url` leads to the database past any pooler.
    pub async fn run(self, url: SecretString) {
        let mut is_away = false;
        loop {
            let mut begun = || {
                if std::mem::take(&mut is_away) {
                    tracing::info!("processes tell each other again what has changed");
                }
            };
            let Err(error) = self.serve(&url, &mut begun).await;
            self.rhythm().pulse = None;
            if !std::mem::replace(&mut is_away, true) {
                let cause = Chain(&error);
                tracing::warn!("processes can't tell each other what has changed: {cause}");
            }
            sleep(PAUSE).await;
        }
    }

    /// Hears and tells until a connection fails; calls `begun` when something was heard.
    async fn serve(
        &self,
        url: &SecretString,
        begun: &mut impl FnMut(),
    ) -> Result<Infallible, DbError> {
        let failed =
            |error| DbError::Unavailable(Chain(&error as &diesel::ConnectionError).to_string());
        let (alive, mut ended) = oneshot::channel::<Infallible>();
        let hear = {
            let bus = self.clone();
            move |message| {
                // Dropped with the connection's task.
                let _ = &alive;
                bus.heard(&message);
            }
        };
        let url = url.expose_secret();
        let ear = connect_and_hear(url, None, future::pending(), hear).await;
        let (mut ear, _ear) = ear.map_err(failed)?;
        let mouth = connect(url, None, future::pending()).await;
        let (mut mouth, _mouth) = mouth.map_err(failed)?;
        // Nothing is lost with what it tells.
        mouth.batch_execute("SET synchronous_commit = off").await?;
        let channels = Topic::ALL.map(Topic::channel);
        for channel in channels.into_iter().chain([self.0.own.as_str()]) {
            ear.batch_execute(&format!("LISTEN {channel}")).await?;
        }
        for topic in Topic::ALL {
            self.call_hooks(topic, None);
        }
        let mut beaten = Option::<Instant>::None;
        loop {
            let since_beat = beaten.map(|at| at.elapsed());
            let (is_heard, is_wanted) = self.state();
            if is_heard && beaten.is_some() {
                begun();
            }
            let rest = if is_wanted { BEAT } else { REST };
            match since_beat {
                Some(since) if !is_heard && since > DEAF => {
                    let cause = "what was told was not heard: does database.direct_url lead past the pooler?";
                    return Err(DbError::Unavailable(cause.to_owned()));
                }
                Some(since) if !is_heard || since < rest => {}
                _ => {
                    let number = self.beat();
                    beaten = Some(Instant::now());
                    mouth.batch_execute(&self.statement(number)).await?;
                }
            }
            tokio::select! {
                _ = &mut ended => {
                    return Err(DbError::Unavailable("the connection was ended".to_owned()));
                }
                () = self.0.jobs.notified() => {
                    mouth.batch_execute("NOTIFY twofold_jobs").await?;
                    // What comes meanwhile is told of together.
                    sleep(DEBOUNCE).await;
                }
                () = self.0.wanted.notified() => {}
                () = sleep(BEAT) => {}
            }
        }
    }

    /// Tells itself a number, and the time at which it does so.
    fn statement(&self, number: u64) -> String {
        let micros = |time: &str| format!("(extract(epoch FROM {time}) * 1000000)::bigint");
        let (now, server) = (micros("clock_timestamp()"), micros("pg_postmaster_start_time()"));
        let own = &self.0.own;
        format!("SELECT pg_notify('{own}', concat_ws(' ', {number}, {now}, {server}))")
    }

    /// The next number. One that was sent before is of no more use, also if it is heard after all.
    fn beat(&self) -> u64 {
        let now = self.0.clock.moment();
        let mut rhythm = self.rhythm();
        rhythm.number += 1;
        (rhythm.sent_at, rhythm.is_heard) = (Some(now), false);
        rhythm.number
    }

    /// Whether the last number was heard, and whether somebody wants to know the pulse.
    fn state(&self) -> (bool, bool) {
        let rhythm = self.rhythm();
        let is_wanted = rhythm.wanted_at.is_some_and(|at| at.elapsed() < INTEREST);
        (rhythm.is_heard, is_wanted)
    }

    fn heard(&self, message: &AsyncMessage) {
        let AsyncMessage::Notification(told) = message else { return };
        if told.channel() == self.0.own {
            self.feel(told.payload());
        } else if let Some(topic) = Topic::ALL.into_iter().find(|t| t.channel() == told.channel()) {
            self.call_hooks(topic, Some(told.payload()));
        }
    }

    /// A number was heard.
    fn feel(&self, payload: &str) -> Option<()> {
        let mut parts = payload.split(' ').map_while(|part| part.parse::<i64>().ok());
        let number = u64::try_from(parts.next()?).ok()?;
        let database_time = DateTime::from_timestamp_micros(parts.next()?)?;
        let server = DateTime::from_timestamp_micros(parts.next()?)?;
        let heard_at = self.0.clock.moment();
        let mut rhythm = self.rhythm();
        if number == rhythm.number {
            let as_of = rhythm.sent_at?;
            let since = rhythm.pulse.map_or(database_time, |pulse| pulse.since);
            rhythm.is_heard = true;
            rhythm.pulse = Some(Pulse { as_of, heard_at, database_time, since, server });
        }
        Some(())
    }

    fn call_hooks(&self, topic: Topic, told: Option<&str>) {
        let hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, hook) in hooks.iter().filter(|(of, _)| *of == topic) {
            hook(told);
        }
    }

    fn rhythm(&self) -> MutexGuard<'_, Rhythm> {
        self.0.rhythm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c02_a_number_that_was_overtaken_tells_nothing() {
        let bus = Bus::new(Clock::default(), Random);
        let (first, second) = (bus.beat(), bus.beat());
        let hear = |number: u64, time: i64| bus.feel(&format!("{number} {time} 0"));
        hear(first, 1);
        assert_eq!(bus.pulse(), None, "all that was committed before the second may be unheard");
        hear(second, 2);
        let pulse = bus.pulse().expect("the last one was heard");
        assert_eq!(pulse.database_time.timestamp_micros(), 2);
        hear(first, 1);
        assert_eq!(bus.pulse(), Some(pulse));
    }
}
