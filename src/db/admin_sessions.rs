//! `admin_sessions` as staff see them.

super::listed_sessions::listed_sessions!(
    admin_sessions,
    AdminSession,
    AdminSessionSort,
    AdminSessionFilter
);

/// Whose sessions are open.
pub(super) fn owners<'a>(
    now: DateTime<Utc>,
) -> admin_sessions::BoxedQuery<'a, Pg, diesel::sql_types::Uuid> {
    open(now).select(admin_sessions::account_id)
}
