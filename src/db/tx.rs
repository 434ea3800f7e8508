//! One transaction of a service: the connection, the time, who asked, and what follows.

use std::{
    mem,
    net::IpAddr,
    ops::{Deref, DerefMut},
};

use chrono::{DateTime, Utc};
use diesel_async::{AsyncConnection, TransactionManager};
use uuid::Uuid;

use super::{Conn, DbError, Pooled, UnitOfWork, text_enum};
use crate::adapters::limiter::Tally;

type Manager = <Conn as AsyncConnection>::TransactionManager;

/// Who asks for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    Anonymous,
    User(Uuid),
    Admin(Uuid),
    /// The program itself, or an operator at the command line.
    System,
}

impl Actor {
    /// The account, if it is one.
    #[must_use]
    pub fn account_id(self) -> Option<Uuid> {
        match self {
            Self::User(id) | Self::Admin(id) => Some(id),
            Self::Anonymous | Self::System => None,
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> ActorKind {
        match self {
            Self::Anonymous => ActorKind::Anonymous,
            Self::User(_) => ActorKind::User,
            Self::Admin(_) => ActorKind::Admin,
            Self::System => ActorKind::System,
        }
    }

    /// The admin, if it is one.
    #[must_use]
    pub fn admin_id(self) -> Option<Uuid> {
        match self {
            Self::Admin(id) => Some(id),
            Self::Anonymous | Self::User(_) | Self::System => None,
        }
    }
}

text_enum! {
    /// An [`Actor`], as rows have it beside the account.
    ActorKind {
        Anonymous = "anonymous",
        User = "user",
        Admin = "admin",
        System = "system",
    }
}

/// Where a change comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: Actor,
    /// Of whoever is signed in.
    pub session_id: Option<Uuid>,
    /// The admin who acts as the user.
    pub impersonator_id: Option<Uuid>,
    /// Joins a change with the request's log lines.
    pub request_id: String,
    pub ip_address: Option<IpAddr>,
    pub user_agent: Option<String>,
    /// What it is part of.
    pub unit: UnitOfWork,
    /// What is to be told of its budgets of tries.
    pub tally: Tally,
}

impl Origin {
    /// A change that no request asked for.
    #[must_use]
    pub fn system(what: &str) -> Self {
        Self {
            actor: Actor::System,
            session_id: None,
            impersonator_id: None,
            request_id: what.to_owned(),
            ip_address: None,
            user_agent: None,
            unit: UnitOfWork::default(),
            tally: Tally::default(),
        }
    }
}

type Hook = Box<dyn FnOnce() + Send>;

/// An open transaction. It is a connection to query functions; unless committed it is rolled
/// back, also when its future is dropped half-way.
pub struct Tx {
    /// Taken out at the end only.
    conn: Option<Pooled>,
    /// The time of everything that happens in this transaction.
    pub now: DateTime<Utc>,
    pub origin: Origin,
    after_commit: Vec<Hook>,
    /// Whether it holds what was committed before, as far as its service knows.
    is_resumed: bool,
}

impl Tx {
    pub(super) async fn begin(
        mut conn: Pooled,
        now: DateTime<Utc>,
        origin: Origin,
    ) -> Result<Self, DbError> {
        Manager::begin_transaction(&mut *conn).await?;
        Ok(Self { conn: Some(conn), now, origin, after_commit: Vec::new(), is_resumed: false })
    }

    /// Goes on in the same transaction, at the same time.
    pub(super) fn resumed_by(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self.is_resumed = true;
        self
    }

    /// Runs `hook` once the change is durable: wake a worker, drop a cache entry. It can't fail
    /// the change any more, and is lost in a crash.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(hook));
    }

    /// Makes the change durable, then runs the hooks. In a held [`UnitOfWork`] both wait for its
    /// end.
    ///
    /// # Errors
    /// When the database did not confirm.
    pub async fn commit(mut self) -> Result<(), DbError> {
        let unit = mem::take(&mut self.origin.unit);
        if unit.is_held() {
            return unit.put_off(self);
        }
        if let Some(mut conn) = self.conn.take() {
            Manager::commit_transaction(&mut *conn).await?;
        }
        for hook in mem::take(&mut self.after_commit) {
            hook();
        }
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.is_resumed {
            self.origin.unit.lose();
        }
        // A connection dropped inside a transaction would be closed, and a new one made.
        if let Some(conn) = self.conn.take() {
            conn.roll_back();
        }
    }
}

#[expect(clippy::expect_used, reason = "only `commit` and `drop`, which end the value, take it")]
impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn.as_deref().expect("the transaction is open")
    }
}

#[expect(clippy::expect_used, reason = "only `commit` and `drop`, which end the value, take it")]
impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn.as_deref_mut().expect("the transaction is open")
    }
}
