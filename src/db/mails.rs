//! `mails`: written with the change that asks for them, sent afterwards, at least once.

use chrono::{DateTime, Utc};
use diesel::{
    pg::Pg,
    prelude::*,
    sql_query,
    sql_types::{Text, Timestamptz},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    ActorKind, Conn, Origin, contains,
    keyset::{Window, sortable},
    schema::mails,
    text_enum,
};

text_enum! {
    MailState {
        Pending = "pending",
        Sent = "sent",
        /// Given up.
        Failed = "failed",
    }
}

/// A mail and what became of it, without what it says.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = mails, check_for_backend(Pg))]
pub struct MailRecord {
    pub id: Uuid,
    pub recipient: String,
    pub subject: String,
    pub state: MailState,
    /// Tries that count.
    pub attempts: i32,
    pub last_error: Option<String>,
    /// Unknown of mails of earlier versions, as are the others.
    pub template: Option<String>,
    pub locale: Option<String>,
    pub requested_by: Option<ActorKind>,
    pub requested_by_id: Option<Uuid>,
    pub request_id: Option<String>,
    /// The mail that this one repeats.
    pub resend_of: Option<Uuid>,
    /// What has taken it, such as `smtp`.
    pub transport: Option<String>,
    pub provider_id: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub user_id: Option<Uuid>,
    /// Whether what it was written with was kept, to write it again.
    #[diesel(select_expression = mails::template_values.is_not_null())]
    pub has_values: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a new row needs.
pub struct NewMail<'a> {
    pub id: Uuid,
    /// Whose account it is about: it is erased with the account.
    pub user_id: Option<Uuid>,
    pub recipient: &'a str,
    pub template: &'a str,
    pub locale: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
    pub html: &'a str,
    /// To write it again, if that may be done.
    pub values: Option<Value>,
    pub resend_of: Option<Uuid>,
    /// Who asks for it.
    pub origin: &'a Origin,
    pub now: DateTime<Utc>,
}

/// Stores a mail; `None` when there is one of this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut Conn, new: NewMail<'_>) -> QueryResult<Option<MailRecord>> {
    diesel::insert_into(mails::table)
        .values((
            mails::id.eq(new.id),
            mails::user_id.eq(new.user_id),
            mails::recipient.eq(new.recipient),
            mails::template.eq(new.template),
            mails::locale.eq(new.locale),
            mails::subject.eq(new.subject),
            mails::body.eq(new.text),
            mails::html.eq(new.html),
            mails::template_values.eq(new.values),
            mails::requested_by.eq(new.origin.actor.kind()),
            mails::requested_by_id.eq(new.origin.actor.account_id()),
            mails::request_id.eq(&new.origin.request_id),
            mails::resend_of.eq(new.resend_of),
            mails::state.eq(MailState::Pending),
            mails::attempts.eq(0),
            mails::created_at.eq(new.now),
            mails::updated_at.eq(new.now),
        ))
        .on_conflict_do_nothing()
        .returning(MailRecord::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// The mail with this identifier.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut Conn, id: Uuid) -> QueryResult<Option<MailRecord>> {
    mails::table.find(id).select(MailRecord::as_select()).first(conn).await.optional()
}

/// The same with what it was written with, if that was kept.
///
/// # Errors
/// When the statement fails.
pub async fn find_with_values(
    conn: &mut Conn,
    id: Uuid,
) -> QueryResult<Option<(MailRecord, Option<Value>)>> {
    let columns = (MailRecord::as_select(), mails::template_values);
    mails::table.find(id).select(columns).first(conn).await.optional()
}

/// A mail as it is sent.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = mails, check_for_backend(Pg))]
pub struct Outgoing {
    pub recipient: String,
    pub subject: String,
    /// Erased once it isn't tried again, as is the HTML.
    pub body: Option<String>,
    pub html: Option<String>,
    pub state: MailState,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// The mail with this identifier, to send it.
///
/// # Errors
/// When the statement fails.
pub async fn find_outgoing(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Outgoing>> {
    mails::table.find(id).select(Outgoing::as_select()).first(conn).await.optional()
}

/// How a try ended.
pub enum Outcome<'a> {
    Sent {
        transport: &'a str,
        provider_id: Option<&'a str>,
    },
    /// It is tried again.
    Pending {
        why: &'a str,
    },
    GivenUp {
        why: &'a str,
    },
}

/// Records how a try ended, and how many have counted so far. A mail that isn't tried again loses what it says;
/// one that has been sent or given up meanwhile stays as it is.
///
/// # Errors
/// When the statement fails.
pub async fn record(
    conn: &mut Conn,
    id: Uuid,
    outcome: Outcome<'_>,
    attempts: i32,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let pending = mails::table.find(id).filter(mails::state.eq(MailState::Pending));
    let always = (mails::attempts.eq(attempts), mails::updated_at.eq(now));
    let update = diesel::update(pending);
    let erased = (mails::body.eq(None::<String>), mails::html.eq(None::<String>));
    match outcome {
        Outcome::Sent { transport, provider_id } => {
            let sent = (
                mails::state.eq(MailState::Sent),
                mails::last_error.eq(None::<String>),
                mails::transport.eq(transport),
                mails::provider_id.eq(provider_id),
                mails::sent_at.eq(now),
            );
            update.set((always, erased, sent)).execute(conn).await?
        }
        Outcome::Pending { why } => {
            update.set((always, mails::last_error.eq(why))).execute(conn).await?
        }
        Outcome::GivenUp { why } => {
            let failed = (mails::state.eq(MailState::Failed), mails::last_error.eq(why));
            update.set((always, erased, failed)).execute(conn).await?
        }
    };
    Ok(())
}

/// Gives up the mails that nothing will send any more, and returns how many: their jobs, which are of this
/// kind, were cancelled or discarded, or have killed their workers.
///
/// # Errors
/// When the statement fails.
pub async fn give_up_abandoned(
    conn: &mut Conn,
    kind: &str,
    now: DateTime<Utc>,
) -> QueryResult<usize> {
    sql_query(
        "UPDATE mails
         SET state = 'failed', last_error = 'its job has ended', body = NULL, html = NULL,
             updated_at = $2
         WHERE state = 'pending' AND NOT EXISTS (
             SELECT FROM jobs
             WHERE kind = $1 AND state IN ('waiting', 'running')
               AND payload ->> 'mail_id' = mails.id::text
         )",
    )
    .bind::<Text, _>(kind)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await
}

sortable! {
    /// What a list of mails can be sorted by.
    MailSort: MailRecord, mails, "-created_at", [created_at, sent_at, recipient]
}

/// Which mails to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MailFilter {
    /// Part of the recipient, in any case.
    pub search: Option<String>,
    pub state: Option<MailState>,
    pub template: Option<String>,
    pub created_from: Option<DateTime<Utc>>,
    /// From then on no more.
    pub created_to: Option<DateTime<Utc>>,
}

fn matching(filter: &MailFilter) -> mails::BoxedQuery<'_, Pg> {
    let mut query = mails::table.into_boxed();
    if let Some(state) = filter.state {
        query = query.filter(mails::state.eq(state));
    }
    if let Some(template) = &filter.template {
        query = query.filter(mails::template.eq(template));
    }
    if let Some(text) = &filter.search {
        query = query.filter(mails::recipient.ilike(contains(text)));
    }
    if let Some(from) = filter.created_from {
        query = query.filter(mails::created_at.ge(from));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(mails::created_at.lt(to));
    }
    query
}

/// How many mails match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &MailFilter) -> QueryResult<i64> {
    matching(filter).count().get_result(conn).await
}

/// The mails in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &MailFilter,
    window: &Window<MailSort>,
) -> QueryResult<Vec<MailRecord>> {
    matching(filter)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
        .select(MailRecord::as_select())
        .load(conn)
        .await
}
