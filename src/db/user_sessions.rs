//! `user_sessions` as their user sees them, and those in which somebody else acts as the user.

super::listed_sessions::listed_sessions!(
    user_sessions,
    UserSession,
    UserSessionSort,
    UserSessionFilter,
    /// The member of the staff who acts as the user in it.
    impersonator_id: Option<Uuid>
);

/// A session in which a member of the staff acts as a user.
#[derive(Debug, Clone, Queryable)]
pub struct Impersonation {
    pub session_id: Uuid,
    pub user_id: Uuid,
    pub impersonator_id: Option<Uuid>,
    pub expires_at: DateTime<Utc>,
}

/// Says who acts as the user in a session.
///
/// # Errors
/// When the statement fails.
pub async fn set_impersonator(
    conn: &mut Conn,
    id: Uuid,
    impersonator_id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::update(user_sessions::table.find(id))
        .set((
            user_sessions::impersonator_id.eq(impersonator_id),
            user_sessions::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Which of these sessions are somebody else's who acts as the user.
///
/// # Errors
/// When the statement fails.
pub async fn impersonations(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<Impersonation>> {
    user_sessions::table
        .filter(user_sessions::id.eq_any(ids).and(user_sessions::impersonator_id.is_not_null()))
        .select((
            user_sessions::id,
            user_sessions::account_id,
            user_sessions::impersonator_id,
            user_sessions::expires_at,
        ))
        .order_by(user_sessions::id)
        .load(conn)
        .await
}

/// The sessions in which this member of the staff acts as this user, and which were not ended.
///
/// # Errors
/// When the statement fails.
pub async fn open_impersonations(
    conn: &mut Conn,
    user_id: Uuid,
    impersonator_id: Uuid,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Uuid>> {
    open(now)
        .filter(
            user_sessions::account_id
                .eq(user_id)
                .and(user_sessions::impersonator_id.eq(impersonator_id)),
        )
        .select(user_sessions::id)
        .load(conn)
        .await
}
