//! `user_sessions` as their user sees them.

super::listed_sessions::listed_sessions!(
    user_sessions,
    UserSession,
    UserSessionSort,
    UserSessionFilter
);
