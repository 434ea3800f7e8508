//! Hands written mails over, and records what became of each.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Core, Mails, Result};
use crate::{
    adapters::mailer::{Mail, MailError, Receipt},
    db::{
        mail_pace,
        mails::{self, MailState, Outcome, Outgoing},
    },
    telemetry::Chain,
};

/// Tries before a mail that is refused is given up; with the pauses below they span about six hours.
pub(super) const MAX_ATTEMPTS: i32 = 12;
/// For how long a mail that nobody takes is tried (RFC 5321, 4.5.4.1: four to five days).
const MAX_AGE: TimeDelta = TimeDelta::days(4);
/// The pause when it isn't known for how long nobody takes any.
const SHORT_PAUSE: Duration = Duration::from_secs(10);
/// How long a sender waits for the turn of its mail.
const PATIENCE: TimeDelta = TimeDelta::seconds(5);

/// How a try to hand a mail over ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It is handed over, now or before.
    Sent,
    /// It was refused, and is to be tried again, after a longer pause each time.
    Refused { why: String },
    /// No mail can go for now. The try doesn't count: it says nothing of this mail.
    Waiting { why: String, pause: Duration },
    /// It won't be tried again.
    GivenUp { why: String },
}

impl Mails {
    /// Hands one mail over and records the outcome; `attempt` says which of the tries that count this is,
    /// from 1.
    ///
    /// # Errors
    /// When the database fails. The mail is then to be tried again, and may arrive twice with the same
    /// `Message-ID`.
    pub async fn deliver(&self, core: &Core, id: Uuid, attempt: i32) -> Result<Delivery> {
        let found = mails::find_outgoing(&mut *core.db.conn().await?, id).await?;
        let Some(row) = found else {
            return Ok(Delivery::GivenUp { why: "there is no such mail".to_owned() });
        };
        match row.state {
            MailState::Sent => return Ok(Delivery::Sent),
            MailState::Failed => {
                return Ok(Delivery::GivenUp { why: row.last_error.unwrap_or_default() });
            }
            MailState::Pending => {}
        }
        let created_at = row.created_at;
        let handed_over = match self.turn(core).await? {
            Ok(()) => self.hand_over(id, row).await,
            Err(pause) => {
                let why = "the rate is used up".into();
                Err(MailError::Unavailable { why, retry_after: Some(pause) })
            }
        };
        let now = core.clock.now();
        let delivery = judge(handed_over.as_ref().err(), attempt, now - created_at);
        let (outcome, attempts) = match (&delivery, &handed_over) {
            // Whoever has the mail delivered logs why it isn't.
            (Delivery::Refused { why }, _) => (Outcome::Pending { why }, attempt),
            (Delivery::GivenUp { why }, _) => (Outcome::GivenUp { why }, attempt),
            // That nobody takes mail was logged when it was found out.
            (Delivery::Waiting { why, .. }, _) => (Outcome::Pending { why }, attempt - 1),
            (Delivery::Sent, receipt) => {
                let receipt = receipt.as_ref().ok();
                let transport = receipt.map(|it| it.transport).unwrap_or_default();
                let provider_id = receipt.and_then(|it| it.provider_id.as_deref());
                (Outcome::Sent { transport, provider_id }, attempt)
            }
        };
        mails::record(&mut *core.db.conn().await?, id, outcome, attempts, now).await?;
        Ok(delivery)
    }

    async fn hand_over(&self, id: Uuid, row: Outgoing) -> Result<Receipt, MailError> {
        let Outgoing { recipient, subject, body, html, .. } = row;
        let mail = Mail { id, recipient, subject, text: body.unwrap_or_default(), html };
        let started = Instant::now();
        let handed_over = self.mailer.send(&mail).await;
        let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_handover_ms.store(took, Ordering::Relaxed);
        handed_over
    }

    /// Waits until another mail may go; for how long to come back, if that is too long.
    async fn turn(&self, core: &Core) -> Result<Result<(), Duration>> {
        // While nobody takes mail, no turn is used up.
        let rate = self.rate_per_second.filter(|_| self.mailer.pause().is_none());
        let Some(rate) = rate else { return Ok(Ok(())) };
        let (step, now) = (TimeDelta::microseconds(1_000_000 / i64::from(rate)), core.clock.now());
        let mut conn = core.db.conn().await?;
        let turn = mail_pace::take_turn(&mut conn, step, PATIENCE, now).await?;
        drop(conn);
        let Some(at) = turn else { return Ok(Err(SHORT_PAUSE)) };
        tokio::time::sleep((at - now).to_std().unwrap_or_default()).await;
        Ok(Ok(()))
    }

    /// Whether one of the ways to send took no mail the last time.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.mailer.is_failing()
    }

    /// How long the last handover took, in milliseconds.
    #[must_use]
    pub fn last_handover_ms(&self) -> u64 {
        self.last_handover_ms.load(Ordering::Relaxed)
    }
}

/// What is to be done about a mail of this age after this failure, or none.
fn judge(failure: Option<&MailError>, attempt: i32, age: TimeDelta) -> Delivery {
    let Some(error) = failure else { return Delivery::Sent };
    let why = Chain(error).to_string();
    match error {
        MailError::Refused(_) if attempt < MAX_ATTEMPTS => Delivery::Refused { why },
        MailError::Unavailable { retry_after, .. } if age < MAX_AGE => {
            Delivery::Waiting { why, pause: retry_after.unwrap_or(SHORT_PAUSE) }
        }
        _ => Delivery::GivenUp { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(retry_after: Option<Duration>) -> MailError {
        MailError::Unavailable { why: "down".into(), retry_after }
    }

    #[test]
    fn what_is_wrong_decides_what_follows() {
        let young = TimeDelta::minutes(1);
        let judged = |error: MailError, attempt, age| judge(Some(&error), attempt, age);
        let refused = || MailError::Refused("550".into());
        assert_eq!(judge(None, 1, young), Delivery::Sent);
        let why = "the mail was refused: 550".to_owned();
        assert_eq!(judged(refused(), 11, young), Delivery::Refused { why: why.clone() });
        assert_eq!(judged(refused(), 12, young), Delivery::GivenUp { why });
        let invalid = MailError::Invalid("no address".into());
        assert!(matches!(judged(invalid, 1, young), Delivery::GivenUp { .. }));

        let pause = |delivery| match delivery {
            Delivery::Waiting { pause, .. } => Some(pause),
            _ => None,
        };
        let minute = Duration::from_mins(1);
        assert_eq!(pause(judged(unavailable(Some(minute)), 99, young)), Some(minute));
        assert_eq!(pause(judged(unavailable(None), 1, young)), Some(SHORT_PAUSE));
        assert_eq!(pause(judged(unavailable(None), 1, MAX_AGE)), None);
    }
}
