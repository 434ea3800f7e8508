//! Statements in the log: what was asked and how long it took, never with which values.

use std::{
    fmt::{self, Write},
    time::{Duration, Instant},
};

use diesel::connection::{Instrumentation, InstrumentationEvent};

use crate::telemetry::SQL;

/// Which statements are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    None,
    /// Those that take longer than the limit, and those that fail.
    SlowAndFailed,
    All,
}

/// What is logged of one connection's statements.
#[derive(Debug, Clone, Copy)]
pub struct SqlLog {
    pub logged: Logged,
    /// From here on a statement is marked as slow.
    pub slow: Duration,
}

/// Watches one connection.
pub(super) struct Watch {
    log: SqlLog,
    started: Option<Instant>,
}

impl SqlLog {
    pub(super) fn watch(self) -> Watch {
        Watch { log: self, started: None }
    }
}

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => self.started = Some(Instant::now()),
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                let took = self.started.take().map_or(Duration::ZERO, |started| started.elapsed());
                let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                let statement = || Statement::of(&query);
                match (self.log.logged, error) {
                    (Logged::None, _) => {}
                    (_, Some(error)) => {
                        let error = error.to_string();
                        tracing::warn!(target: SQL, duration_us, error, statement = statement(), "failed");
                    }
                    (_, None) if took >= self.log.slow => {
                        tracing::warn!(target: SQL, duration_us, slow = true, statement = statement(), "slow");
                    }
                    (Logged::All, None) => {
                        tracing::debug!(target: SQL, duration_us, statement = statement(), "done");
                    }
                    (Logged::SlowAndFailed, None) => {}
                }
            }
            _ => {}
        }
    }
}

/// The text of a statement up to its values, which diesel writes behind it.
struct Statement(String);

impl Statement {
    fn of(query: &impl fmt::Display) -> String {
        let mut statement = Self(String::new());
        // An error means that the values were reached.
        let _ = write!(statement, "{query}");
        statement.0
    }
}

impl Write for Statement {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let (statement, values) = part.split_once(" -- binds: ").unzip();
        self.0.push_str(statement.unwrap_or(part));
        values.map_or(Ok(()), |_| Err(fmt::Error))
    }
}

#[cfg(test)]
mod tests {
    use diesel::{ExpressionMethods, QueryDsl, debug_query, pg::Pg};

    use super::{super::schema::users, *};

    #[test]
    fn values_are_left_out() {
        let query = users::table.filter(users::email.eq("canary")).select(users::id);
        let shown = debug_query::<Pg, _>(&query);
        assert!(shown.to_string().contains("canary"), "otherwise this proves nothing");
        let statement = Statement::of(&shown);
        assert!(statement.ends_with("WHERE (\"users\".\"email\" = $1)"), "{statement}");
    }
}
