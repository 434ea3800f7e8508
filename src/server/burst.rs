//! What happens many times in a row is told once.

use std::time::Duration;

use tokio::time::Instant;

/// What happens this long after the last time is news again.
const QUIET: Duration = Duration::from_mins(1);

const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// Tells the first of many.
#[derive(Debug, Default)]
pub(super) struct Burst {
    last: Option<Instant>,
}

impl Burst {
    /// It happened; is it the first time for a while?
    pub fn is_news(&mut self) -> bool {
        let now = Instant::now();
        let last = self.last.replace(now);
        last.is_none_or(|last| now.duration_since(last) > QUIET)
    }
}

/// How long to wait after failures, each of which will most likely be followed by another.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Backoff {
    pub fn failed(&mut self) -> Duration {
        let pause = self.0;
        self.0 = LONGEST.min(pause * 2);
        pause
    }

    pub fn succeeded(&mut self) {
        self.0 = SHORTEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..10).map(|_| backoff.failed().as_millis()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(), SHORTEST);
    }

    #[test]
    fn only_the_first_of_many_is_news() {
        let mut burst = Burst::default();
        assert!(burst.is_news());
        assert!(!burst.is_news() && !burst.is_news());
        burst.last = Instant::now().checked_sub(QUIET + SHORTEST);
        assert!(burst.is_news());
    }
}
