//! `mails`: written with the change that asks for them, sent afterwards, at least once.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::mails, text_enum};

text_enum! {
    MailState {
        Pending = "pending",
        Sent = "sent",
        /// Given up.
        Failed = "failed",
    }
}

/// A mail that is to be sent.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = mails, check_for_backend(Pg))]
pub struct MailRow {
    pub id: Uuid,
    pub recipient: String,
    pub subject: String,
    pub body: Option<String>,
    /// Tries so far, the one under way included.
    pub attempts: i32,
}

/// What a new row needs.
pub struct NewMail<'a> {
    pub id: Uuid,
    pub recipient: &'a str,
    pub subject: &'a str,
    pub body: &'a str,
    pub now: DateTime<Utc>,
}

/// Stores a mail that is due at once.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewMail<'_>) -> QueryResult<()> {
    diesel::insert_into(mails::table)
        .values((
            mails::id.eq(new.id),
            mails::recipient.eq(new.recipient),
            mails::subject.eq(new.subject),
            mails::body.eq(new.body),
            mails::state.eq(MailState::Pending),
            mails::attempts.eq(0),
            mails::next_attempt_at.eq(new.now),
            mails::created_at.eq(new.now),
            mails::updated_at.eq(new.now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes the mail that has been due for longest. Nobody else takes it for `lease`; if the sender
/// dies, it is due again afterwards.
///
/// # Errors
/// When the statement fails.
pub async fn claim(
    conn: &mut Conn,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> QueryResult<Option<MailRow>> {
    let due = mails::table
        .filter(mails::state.eq(MailState::Pending).and(mails::next_attempt_at.le(now)))
        .order((mails::next_attempt_at, mails::id))
        .for_update()
        .skip_locked()
        .select(mails::id)
        .first::<Uuid>(conn)
        .await
        .optional()?;
    let Some(id) = due else { return Ok(None) };
    diesel::update(mails::table.find(id))
        .set((
            mails::attempts.eq(mails::attempts + 1),
            mails::next_attempt_at.eq(now + lease),
            mails::updated_at.eq(now),
        ))
        .returning(MailRow::as_returning())
        .get_result(conn)
        .await
        .map(Some)
}

/// How a try ended.
pub enum Outcome<'a> {
    Sent,
    /// Try again then.
    Retry(DateTime<Utc>, &'a str),
    GiveUp(&'a str),
}

/// Records how a try ended. A mail that won't be tried again loses its body.
///
/// # Errors
/// When the statement fails.
pub async fn finish(
    conn: &mut Conn,
    id: Uuid,
    outcome: Outcome<'_>,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let mail = diesel::update(mails::table.find(id));
    match outcome {
        Outcome::Retry(at, error) => {
            mail.set((
                mails::next_attempt_at.eq(at),
                mails::last_error.eq(error),
                mails::updated_at.eq(now),
            ))
            .execute(conn)
            .await?
        }
        Outcome::Sent | Outcome::GiveUp(_) => {
            let (state, error) = match outcome {
                Outcome::GiveUp(error) => (MailState::Failed, Some(error)),
                _ => (MailState::Sent, None),
            };
            mail.set((
                mails::state.eq(state),
                mails::body.eq(None::<String>),
                mails::last_error.eq(error),
                mails::updated_at.eq(now),
            ))
            .execute(conn)
            .await?
        }
    };
    Ok(())
}
