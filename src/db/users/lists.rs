//! Lists of users, as staff search, narrow and sort them.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*, sql_types::Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{User, UserStatus};
use crate::db::{
    Conn,
    count::{self, Total},
    keyset::{self, Window, sortable},
    schema::users,
    search::{Frequency, Matching, planned_anew},
};

/// As the index `users_search` has it.
const DOCUMENT: &str = "(users.email || ' ' || coalesce(users.name, ''))";

sortable! {
    /// What a list of users can be sorted by.
    UserSort: User, users, "-created_at", [created_at, email, name, last_login_at]
}

/// Which users to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UserFilter {
    /// Part of the address and the name, in any case, or the identifier.
    pub search: Option<String>,
    pub status: Option<UserStatus>,
    /// Whether the address is verified.
    pub verified: Option<bool>,
    pub has_second_factor: Option<bool>,
    pub created_from: Option<DateTime<Utc>>,
    /// From then on no more.
    pub created_to: Option<DateTime<Utc>>,
    /// Who has signed in since.
    pub last_login_from: Option<DateTime<Utc>>,
    /// Who has not signed in from then on, but before.
    pub last_login_to: Option<DateTime<Utc>>,
}

fn matching(filter: &UserFilter, frequency: Frequency) -> users::BoxedQuery<'_, Pg> {
    let mut query = users::table.into_boxed();
    if *filter != UserFilter::default() {
        query = query.filter(planned_anew());
    }
    if let Some(text) = &filter.search {
        query = match text.parse::<Uuid>() {
            Ok(id) => query.filter(users::id.eq(id)),
            Err(_) => query.filter(Matching::new(DOCUMENT, text, frequency)),
        };
    }
    if let Some(status) = filter.status {
        query = query.filter(users::status.eq(status));
    }
    query = match filter.verified {
        Some(true) => query.filter(users::email_verified_at.is_not_null()),
        Some(false) => query.filter(users::email_verified_at.is_null()),
        None => query,
    };
    if let Some(has_factor) = filter.has_second_factor {
        query = query.filter(users::has_second_factor.eq(has_factor));
    }
    if let Some(from) = filter.created_from {
        query = query.filter(users::created_at.ge(from));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(users::created_at.lt(to));
    }
    if let Some(from) = filter.last_login_from {
        query = query.filter(keyset::since("users.last_login_at", from));
    }
    if let Some(to) = filter.last_login_to {
        query = query.filter(keyset::before("users.last_login_at", to));
    }
    query
}

/// The query of [`count`]: of identifiers alone, which indexes have.
#[must_use]
pub fn counted(filter: &UserFilter) -> users::BoxedQuery<'_, Pg, SqlUuid> {
    matching(filter, Frequency::Rare).select(users::id).limit(count::LIMIT)
}

/// How many users match.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut Conn, filter: &UserFilter) -> QueryResult<Total> {
    count::count(conn, counted(filter)).await
}

/// The query of [`list`].
pub fn listed<'a>(
    filter: &'a UserFilter,
    frequency: Frequency,
    window: &'a Window<UserSort>,
) -> users::BoxedQuery<'a, Pg> {
    matching(filter, frequency)
        .filter(window.condition())
        .order_by(window.order())
        .limit(window.limit)
        .offset(window.offset)
}

/// The users in a window of the sorted list.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut Conn,
    filter: &UserFilter,
    frequency: Frequency,
    window: &Window<UserSort>,
) -> QueryResult<Vec<User>> {
    listed(filter, frequency, window).select(User::as_select()).load(conn).await
}
